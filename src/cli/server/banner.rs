//! What `tokend dev` prints: everything for a first call.

use std::net::SocketAddr;

use zeroize::Zeroizing;

use crate::{cli::output::escaped, model::ClientSecret};

pub(super) struct Banner {
    pub(super) grpc: SocketAddr,
    /// The path of the Unix socket, on which this user needs no secret.
    pub(super) socket: Option<String>,
    pub(super) http: SocketAddr,
    pub(super) issuer: String,
    pub(super) jwks_uri: String,
    pub(super) key_id: String,
    pub(super) client_id: &'static str,
    pub(super) secret: ClientSecret,
    pub(super) authorization: Zeroizing<String>,
    /// A token for the audience `orders`.
    pub(super) token: String,
}

impl Banner {
    /// The text. Each grpcurl call is one line for a POSIX shell.
    pub(super) fn text(&self) -> String {
        let Self { grpc, http, issuer, jwks_uri, key_id, client_id, .. } = self;
        let issue = r#"{"subject":"alice","audiences":["orders"],"scopes":["read"]}"#;
        // The characters of a token need no escape in JSON.
        let verify = format!(r#"{{"token":"{}","audiences":["orders"]}}"#, self.token);
        let socket = self.socket.as_ref().map(|path| format!("\n  grpc socket    unix:{}", escaped(path)));
        let socket = socket.unwrap_or_default();
        format!(
            "tokend {version}: development mode, plaintext, this machine only\n\
             \n  grpc           {grpc}{socket}\n  http           http://{http}\n  issuer         {issuer}\n  \
             jwk set        {jwks_uri}\n  key id         {key_id}\n  client id      {client_id}\n  \
             client secret  {secret}\n\n\
             # issue a token\n{issue}\n\
             tokend token issue --addr {grpc} --subject alice --audience orders --scope read\n\n\
             # verify a token\n{verify}\n\
             tokend token verify --addr {grpc} --audience orders {token}\n",
            version = env!("CARGO_PKG_VERSION"),
            secret = escaped(self.secret.reveal()),
            issue = self.grpcurl("IssueToken", issue),
            verify = self.grpcurl("VerifyToken", &verify),
            token = self.token,
        )
    }

    fn grpcurl(&self, method: &str, request: &str) -> String {
        format!(
            "grpcurl -plaintext -H {} -d {} {} tokend.v1.TokenService/{method}",
            quoted(&format!("authorization: {}", *self.authorization)),
            quoted(request),
            self.grpc,
        )
    }
}

/// A text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn any_text_becomes_one_word_of_the_shell() {
        assert_eq!(quoted("a b$c`d\"e\\f!"), "'a b$c`d\"e\\f!'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}

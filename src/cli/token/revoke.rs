//! `tokend token revoke`.

use clap::Args;
use serde_json::json;

use super::{Service, input::TokenInput};
use crate::{
    cli::{
        connection::RemoteFlags,
        error::CliError,
        output::{confirm, escaped, message, print_json},
        time_text::{parse_instant, timestamp, to_timestamp},
    },
    model::UnixTime,
    proto::v1::{
        RevokeTokenRequest,
        revoke_token_request::{SubjectTarget, Target},
    },
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token revoke < token.txt
  tokend token revoke --jwt-id 3n2v4hQ0QxWm8S1uZJ8y9g --reason 'found in a log'
  tokend token revoke --subject alice --reason 'left the company'
  tokend token revoke --client billing --yes

Exit status 0 means that the revocation is durable: the server rejects the tokens immediately, and its replicas within a
second. An unknown or expired token is no failure.")]
pub(in crate::cli) struct Revoke {
    #[command(flatten)]
    token: TokenInput,
    /// Revoke the token with this id (`jti`)
    #[arg(long, value_name = "JTI", allow_hyphen_values = true, group = "target", conflicts_with = "token")]
    jwt_id: Option<String>,
    /// Revoke a session (`sid`) and all its tokens
    #[arg(long, value_name = "SID", allow_hyphen_values = true, group = "target", conflicts_with = "token")]
    session: Option<String>,
    /// Revoke all tokens and sessions of a subject (`sub`)
    #[arg(long, value_name = "SUBJECT", group = "target", conflicts_with = "token")]
    subject: Option<String>,
    /// With --subject, revoke only what was issued before this instant: RFC 3339, or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", requires = "subject", value_parser = parse_instant)]
    issued_before: Option<UnixTime>,
    /// Revoke all tokens and sessions of a client
    #[arg(long, value_name = "CLIENT", group = "target", conflicts_with = "token")]
    client: Option<String>,
    /// Give the reason, for the audit log
    #[arg(long, default_value_t)]
    reason: String,
    /// Do not ask for confirmation before revoking all of a subject or a client
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Revoke {
    pub(super) fn run(self) -> Result<(), CliError> {
        if !self.yes
            && let Some((kind, name)) = self.owner()
        {
            let name = escaped(name);
            confirm(&format!("Revoke all tokens and sessions of {kind} {name}? This cannot be undone."))?;
        }
        let target = match (self.jwt_id, self.session, self.subject, self.client) {
            (Some(jwt_id), ..) => Target::JwtId(jwt_id),
            (_, Some(session_id), ..) => Target::SessionId(session_id),
            (.., Some(subject), _) => Target::Subject(SubjectTarget {
                subject,
                issued_before_time: self.issued_before.map(to_timestamp),
            }),
            (.., Some(client_id)) => Target::ClientId(client_id),
            _ => Target::Token(self.token.read()?.to_string()),
        };
        let request = RevokeTokenRequest { target: Some(target), reason: self.reason, ..Default::default() };
        let revoked = self.remote.unary(async |channel| Service::new(channel).revoke_token(request).await)?;
        let revoke_time = revoked.revoke_time.map(timestamp);
        if self.remote.is_json() {
            return print_json(&json!({ "revoke_time": revoke_time }));
        }
        message(&format!("revoked since {}", revoke_time.unwrap_or_default()));
        Ok(())
    }

    /// The subject or the client, if all its tokens are to be revoked.
    fn owner(&self) -> Option<(&'static str, &str)> {
        let subject = self.subject.as_deref().map(|subject| ("subject", subject));
        subject.or_else(|| self.client.as_deref().map(|client| ("client", client)))
    }
}

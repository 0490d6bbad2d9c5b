//! `tokend token revoke`.

use clap::Args;
use serde_json::json;

use super::{
    confirm::confirm,
    connection::Connection,
    failure::Failure,
    output::{Output, plain, print_json, talk},
    remote::{answer, call},
    time_text::{parse_instant, timestamp},
    token_input::TokenInput,
};
use crate::{
    model::UnixTime,
    proto::v1::{
        RevokeTokenRequest,
        revoke_token_request::{SubjectTarget, Target},
        token_service_client::TokenServiceClient,
    },
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token revoke < token.txt
  tokend token revoke --jwt-id 3n2v4hQ0QxWm8S1uZJ8y9g --reason 'found in a log'
  tokend token revoke --subject alice --reason 'left the company'
  tokend token revoke --client billing --yes

Exit status 0 means that it is durable: the server refuses the tokens at once, and its replicas within a second. A token
that is unknown or has expired is no failure.")]
pub(super) struct RevokeToken {
    #[command(flatten)]
    token: TokenInput,
    /// The token of this id (`jti`), instead of a token itself
    #[arg(long, value_name = "JTI", allow_hyphen_values = true, group = "target", conflicts_with = "token")]
    jwt_id: Option<String>,
    /// A session (`sid`), with each token that came of it
    #[arg(long, value_name = "SID", allow_hyphen_values = true, group = "target", conflicts_with = "token")]
    session: Option<String>,
    /// All tokens and sessions of a subject (`sub`)
    #[arg(long, value_name = "SUBJECT", group = "target", conflicts_with = "token")]
    subject: Option<String>,
    /// Of the subject's, only what was issued before this instant: RFC 3339, or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", requires = "subject", value_parser = parse_instant)]
    issued_before: Option<UnixTime>,
    /// All tokens and sessions of a client
    #[arg(long, value_name = "CLIENT", group = "target", conflicts_with = "token")]
    client: Option<String>,
    /// Why, for the audit log
    #[arg(long, default_value_t)]
    reason: String,
    /// Do not ask, where all of a subject or a client is to be revoked
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl RevokeToken {
    pub(super) fn run(self) -> Result<(), Failure> {
        if !self.yes
            && let Some((whose, name)) = self.whole()
        {
            confirm(&format!(
                "Revoke all tokens and sessions of {whose} {}? There is no way back.",
                plain(name)
            ))?;
        }
        let target = match (self.jwt_id, self.session, self.subject, self.client) {
            (Some(jwt_id), ..) => Target::JwtId(jwt_id),
            (_, Some(session_id), ..) => Target::SessionId(session_id),
            (.., Some(subject), _) => Target::Subject(SubjectTarget {
                subject,
                issued_before_time: self
                    .issued_before
                    .map(|time| prost_types::Timestamp { seconds: time.seconds(), nanos: 0 }),
            }),
            (.., Some(client_id)) => Target::ClientId(client_id),
            _ => Target::Token(self.token.read()?.to_string()),
        };
        let request = RevokeTokenRequest { target: Some(target), reason: self.reason, ..Default::default() };
        let revoked = call(&self.connection, async |caller| {
            answer(TokenServiceClient::new(caller).revoke_token(request).await)
        })?;
        let since = revoked.revoke_time.map(timestamp);
        if self.output.is_json() {
            return print_json(&json!({ "revoke_time": since }));
        }
        talk(&format!("revoked since {}", since.unwrap_or_default()));
        Ok(())
    }

    /// Whose tokens are to go, if all of somebody's are.
    fn whole(&self) -> Option<(&'static str, &str)> {
        let subject = self.subject.as_deref().map(|subject| ("subject", subject));
        subject.or_else(|| self.client.as_deref().map(|client| ("client", client)))
    }
}

//! `tokend token refresh`: a fresh token, and the next refresh token.

use clap::Args;

use super::{
    connection::Connection,
    failure::Failure,
    output::{Output, print},
    refresh_input::RefreshInput,
    remote::{answer, call},
    token::print_token,
};
use crate::proto::v1::{IssueTokenResponse, RefreshTokenRequest, token_service_client::TokenServiceClient};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token refresh --file refresh.txt
  tokend token refresh -o json < refresh.txt
  tokend token refresh --file refresh.txt --scope read    # a token that may do less; the session keeps what it has

A refresh token is good once. With --file the next one takes its place in the file, and the token alone goes to stdout; without,
a second line holds it. Used twice, a refresh token ends its session, unless it is the same request within ten minutes
(--request-id) or comes within a few seconds: the answer may have been lost.")]
pub(super) struct Refresh {
    #[command(flatten)]
    token: RefreshInput,
    /// A service that may accept the token (`aud`), of those that the session has; may be repeated [default: all of them]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// What the bearer may do (`scope`), of what the session allows; may be repeated [default: all of it]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A UUID that names this request: given again with the same refresh token, it is answered with the same next one
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Refresh {
    pub(super) fn run(self) -> Result<(), Failure> {
        let request = RefreshTokenRequest {
            refresh_token: self.token.read()?.to_string(),
            audiences: self.audiences,
            scopes: self.scopes,
            request_id: self.request_id.unwrap_or_default(),
        };
        let token = call(&self.connection, async |caller| {
            answer(TokenServiceClient::new(caller).refresh_token(request).await)
        })?;
        let kept = self.token.keep(&token.refresh_token)?;
        if kept && !self.output.is_json() {
            return print(&token.access_token);
        }
        let token = IssueTokenResponse {
            access_token: token.access_token,
            token_type: token.token_type,
            issue_time: token.issue_time,
            expire_time: token.expire_time,
            expires_in: token.expires_in,
            scopes: token.scopes,
            jwt_id: token.jwt_id,
            key_id: token.key_id,
            refresh_token: token.refresh_token,
            refresh_token_expire_time: token.refresh_token_expire_time,
        };
        print_token(&token, &self.output)
    }
}

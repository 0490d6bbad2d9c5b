//! `tokend token login`: a token for a person, by name and password.

use std::time::Duration;

use clap::Args;

use super::{
    connection::Connection,
    failure::Failure,
    output::Output,
    password_input::PasswordInput,
    remote::{answer, call},
    time_text::to_api,
    token::print_token,
};
use crate::proto::v1::{IssueTokenResponse, LoginRequest, token_service_client::TokenServiceClient};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token login --username alice --audience orders --scope read
  TOKEN=$(tokend token login --username alice --audience orders --password-stdin < password.txt)
  tokend token login --username alice --audience orders --refresh -o json

With --refresh a second line holds the refresh token, for `tokend token refresh`.
The credential is that of the client that logs people in; the password is the person's.")]
pub(super) struct Login {
    /// The user's name
    #[arg(long, value_name = "NAME")]
    username: String,
    #[command(flatten)]
    password: PasswordInput,
    /// A service that may accept the token (`aud`); may be repeated [default: the client's own]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// What the bearer may do (`scope`); may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// How long the token lives [default: the client's own]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    /// Ask for a refresh token too, and so begin a session
    #[arg(long)]
    refresh: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Login {
    pub(super) fn run(self) -> Result<(), Failure> {
        let request = LoginRequest {
            username: self.username,
            password: self.password.read()?.to_string(),
            audiences: self.audiences,
            scopes: self.scopes,
            ttl: self.ttl.map(to_api),
            include_refresh_token: self.refresh,
        };
        let token = call(&self.connection, async |caller| {
            answer(TokenServiceClient::new(caller).login(request).await)
        })?;
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

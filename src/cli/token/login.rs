//! `tokend token login` and `tokend token refresh`: the tokens of a session.

use std::time::Duration;

use clap::Args;

use super::{Service, input::RefreshTokenInput, print_token};
use crate::{
    cli::{
        connection::RemoteFlags, error::CliError, output::print, time_text::to_proto, user::PasswordInput,
    },
    proto::v1::{LoginRequest, RefreshTokenRequest},
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token login --username alice --audience orders --scope read
  TOKEN=$(tokend token login --username alice --audience orders --password-stdin < password.txt)
  tokend token login --username alice --audience orders --refresh -o json

With --refresh, the second line is the refresh token, for `tokend token refresh`.
The credential is that of the client that logs in users; the password is the user's.")]
pub(in crate::cli) struct Login {
    /// Set the user's name
    #[arg(long, value_name = "NAME")]
    username: String,
    #[command(flatten)]
    password: PasswordInput,
    /// Request an audience (`aud`), a service that may accept the token; may be repeated [default: the client's own]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// Request a scope, which the bearer then has; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Set the token lifetime [default: the client's own]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    /// Begin a session and request a refresh token
    #[arg(long)]
    refresh: bool,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Login {
    pub(super) fn run(self) -> Result<(), CliError> {
        let request = LoginRequest {
            username: self.username,
            password: self.password.read()?.to_string(),
            audiences: self.audiences,
            scopes: self.scopes,
            ttl: self.ttl.map(to_proto),
            include_refresh_token: self.refresh,
        };
        let token = self.remote.unary(async |channel| Service::new(channel).login(request).await)?;
        print_token(&token, &self.remote.output)
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token refresh --file refresh.txt
  tokend token refresh -o json < refresh.txt
  tokend token refresh --file refresh.txt --scope read    # a token with fewer scopes; the session keeps all of them

A refresh token can be used once. With --file, the next refresh token replaces it in the file, and only the token goes to
stdout; without --file, the second line is the next refresh token. Using a refresh token twice ends its session, except for
the same request within ten minutes (--request-id) or any request within a few seconds, because a response may be lost.")]
pub(in crate::cli) struct Refresh {
    #[command(flatten)]
    token: RefreshTokenInput,
    /// Request an audience (`aud`) of the session; may be repeated [default: all audiences of the session]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// Request a scope of the session; may be repeated [default: all scopes of the session]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Identify the request by a UUID: a repeated request with the same refresh token gets the same next refresh token
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Refresh {
    pub(super) fn run(self) -> Result<(), CliError> {
        let request = RefreshTokenRequest {
            refresh_token: self.token.read()?.to_string(),
            audiences: self.audiences,
            scopes: self.scopes,
            request_id: self.request_id.unwrap_or_default(),
        };
        let token = self.remote.unary(async |channel| Service::new(channel).refresh_token(request).await)?;
        let is_stored = self.token.replace(&token.refresh_token)?;
        if is_stored && !self.remote.is_json() {
            return print(&token.access_token);
        }
        print_token(&token, &self.remote.output)
    }
}

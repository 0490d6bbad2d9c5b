//! `tokend token`: issue, verify, exchange and revoke tokens, through TokenService.
//!
//! Invariant: a token is read from stdin or a file; only an argument that is explicitly given is used instead.

mod exchange;
mod flags;
mod input;
mod inspect;
mod login;
mod revoke;
mod verify;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

pub(super) use self::{
    exchange::ACCESS_TOKEN,
    flags::{ClaimFlags, TokenFlags},
};

use self::{
    exchange::Exchange,
    inspect::Inspect,
    login::{Login, Refresh},
    revoke::Revoke,
    verify::{Introspect, Verify},
};
use crate::{
    cli::{
        connection::{AuthenticatedChannel, RemoteFlags},
        error::CliError,
        output::{Output, print, print_json},
    },
    proto::v1::token_service_client::TokenServiceClient,
};

type Service = TokenServiceClient<AuthenticatedChannel>;

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Issue a token and print it
    Issue(Issue),
    /// Log in a user with name and password, and print the token
    Login(Login),
    /// Use a refresh token, and print a new token and the next refresh token
    Refresh(Refresh),
    /// Verify a token and print its claims
    Verify(Verify),
    /// Check whether an access token or a refresh token is active, and print its claims
    Introspect(Introspect),
    /// Exchange a token for one with other audiences or fewer scopes, and print it
    Exchange(Exchange),
    /// Revoke a token, a session, or all tokens of a subject or a client
    Revoke(Revoke),
    /// Print the content of a token, without a server and without verification
    Inspect(Inspect),
}

impl TokenCommand {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Issue(command) => command.run(),
            Self::Login(command) => command.run(),
            Self::Refresh(command) => command.run(),
            Self::Verify(command) => command.run(),
            Self::Introspect(command) => command.run(),
            Self::Exchange(command) => command.run(),
            Self::Revoke(command) => command.run(),
            Self::Inspect(command) => command.run(),
        }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token issue --subject alice --audience orders --scope read
  tokend token issue --audience orders --ttl 5m --claim tenant=acme --claim 'limits={\"rate\":10}'
  TOKEN=$(tokend token issue --audience orders)
  tokend token issue --audience orders --refresh -o json

With --refresh, the second line is the refresh token, for `tokend token refresh`.")]
pub(super) struct Issue {
    #[command(flatten)]
    token: TokenFlags,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Issue {
    fn run(self) -> Result<(), CliError> {
        let request = self.token.request()?;
        let token = self.remote.unary(async |channel| Service::new(channel).issue_token(request).await)?;
        print_token(&token, &self.remote.output)
    }
}

/// Prints a response with a token: as text the token, and in a second line the refresh token if there is one.
fn print_token(response: &impl Serialize, output: &Output) -> Result<(), CliError> {
    let mut document = serde_json::to_value(response).map_err(CliError::failed)?;
    let has_refresh_token = document.get("refresh_token").and_then(Value::as_str) != Some("");
    if output.is_json() {
        if let Some(members) = document.as_object_mut().filter(|_| !has_refresh_token) {
            members.retain(|name, _| !name.starts_with("refresh_token"));
        }
        return print_json(&document);
    }
    let text = |name| document.get(name).and_then(Value::as_str).unwrap_or_default();
    print(text("access_token"))?;
    if has_refresh_token { print(text("refresh_token")) } else { Ok(()) }
}

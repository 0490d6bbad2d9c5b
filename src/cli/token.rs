//! `tokend token`: issue, refresh, verify and revoke.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    connection::Connection,
    exchange::Exchange,
    failure::Failure,
    inspect::Inspect,
    introspect::Introspect,
    json_text::indented,
    login::Login,
    output::{Output, print, print_json, talk},
    refresh::Refresh,
    remote::{answer, call},
    time_text::{duration, timestamp, to_api},
    token_flags::TokenFlags,
    token_input::TokenInput,
    token_revoke::RevokeToken,
};
use crate::proto::v1::{IssueTokenResponse, VerifyTokenRequest, token_service_client::TokenServiceClient};

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Issue a token; it alone goes to stdout
    Issue(Issue),
    /// Log a person in by name and password; the token alone goes to stdout
    Login(Login),
    /// Use a refresh token: a fresh token and the next refresh token go to stdout
    Refresh(Refresh),
    /// Verify a token; its claims go to stdout
    Verify(Verify),
    /// Ask whether a token, access or refresh, is good; its claims go to stdout
    Introspect(Introspect),
    /// Exchange a token for one with other audiences or fewer scopes; the new token alone goes to stdout
    Exchange(Exchange),
    /// Revoke a token, a session, or all that a subject or a client has
    Revoke(RevokeToken),
    /// Print what a token says, without a server and without checking it
    Inspect(Inspect),
}

impl TokenCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
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

With --refresh a second line holds the refresh token, for `tokend token refresh`.")]
pub(super) struct Issue {
    #[command(flatten)]
    token: TokenFlags,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Issue {
    fn run(self) -> Result<(), Failure> {
        let request = self.token.request()?;
        let token = call(&self.connection, async |caller| {
            answer(TokenServiceClient::new(caller).issue_token(request).await)
        })?;
        print_token(&token, &self.output)
    }
}

/// Prints the token answer: in text the token, and on a line of its own the refresh token if there is one.
pub(super) fn print_token(token: &IssueTokenResponse, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return print_json(&token_document(token));
    }
    print(&token.access_token)?;
    if token.refresh_token.is_empty() { Ok(()) } else { print(&token.refresh_token) }
}

/// The token answer as JSON.
pub(super) fn token_document(token: &IssueTokenResponse) -> Value {
    let mut document = json!({
        "access_token": token.access_token,
        "token_type": token.token_type,
        "issue_time": token.issue_time.map(timestamp),
        "expire_time": token.expire_time.map(timestamp),
        "expires_in": token.expires_in.map(|life| life.seconds),
        "scopes": token.scopes,
        "jwt_id": token.jwt_id,
        "key_id": token.key_id,
    });
    if let (Value::Object(members), false) = (&mut document, token.refresh_token.is_empty()) {
        let expire_time = token.refresh_token_expire_time.map(timestamp);
        members.insert("refresh_token".to_owned(), json!(token.refresh_token));
        members.insert("refresh_token_expire_time".to_owned(), json!(expire_time));
    }
    document
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token verify --audience orders < token.txt
  tokend token issue --audience orders | tokend token verify --audience orders --scope read

Exit status 0 means that the token may be trusted. A refused token is 1, with the reason on stderr.")]
pub(super) struct Verify {
    #[command(flatten)]
    token: TokenInput,
    /// An audience that the token may be for; one of those given must match [default: the client's own]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// A scope that the token must hold; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// An issuer whose token is accepted; may be repeated [default: each that the client's permissions allow]
    #[arg(long = "issuer", value_name = "ISSUER")]
    issuers: Vec<String>,
    /// By how much clocks may differ [default: the server's setting]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    leeway: Option<Duration>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Verify {
    fn run(self) -> Result<(), Failure> {
        let request = VerifyTokenRequest {
            token: self.token.read()?.to_string(),
            audiences: self.audiences,
            required_scopes: self.scopes,
            issuers: self.issuers,
            leeway: self.leeway.map(to_api),
            read_mask: None,
        };
        let verified = call(&self.connection, async |caller| {
            answer(TokenServiceClient::new(caller).verify_token(request).await)
        })?;
        if !self.output.is_json() {
            let claims =
                indented(&verified.claims_json).map_err(|error| Failure::refused(error.to_string()))?;
            talk(&format!("verified: signed by key {}", verified.key_id));
            return print(&claims);
        }
        // The claims as they were signed: a parsed value might change their numbers.
        let answer = json!({
            "audiences": verified.audiences,
            "key_id": verified.key_id,
            "cache_ttl": verified.cache_ttl.map(duration),
        });
        let answer = answer.to_string();
        let rest = answer.strip_prefix('{').unwrap_or_default();
        let document = format!("{{\"verified\":true,\"claims\":{},{rest}", verified.claims_json);
        print(&indented(&document).map_err(|error| Failure::refused(error.to_string()))?)
    }
}

//! `tokend token exchange`: a token for another one.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use super::{
    connection::Connection,
    failure::Failure,
    output::{Output, print, print_json},
    remote::{answer, call},
    time_text::to_api,
    token::token_document,
    token_input::from_file,
};
use crate::proto::v1::{ExchangeTokenRequest, IssueTokenResponse, token_service_client::TokenServiceClient};

/// What both tokens are said to be: whoever issued them, they are JWTs and used as access tokens.
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token exchange --actor-token-file own.jwt --audience billing --scope read < subject.jwt
  tokend token exchange --subject-token-file subject.jwt --audience billing --ttl 1m

The subject token says whom the new token is about, the actor token who acts for them. Without an actor token the client needs
the permission `impersonate`. Tokens are read from files and stdin: all users of a machine see the arguments of its processes.")]
pub(super) struct Exchange {
    /// A file with the token of the subject [default: stdin, as for `-`]
    #[arg(long, value_name = "FILE", default_value = "-", hide_default_value = true)]
    subject_token_file: PathBuf,
    /// A file with the token of the one who acts for the subject; `-` is stdin
    #[arg(long, value_name = "FILE")]
    actor_token_file: Option<PathBuf>,
    /// A service that may accept the new token (`aud`); may be repeated [default: those of the subject token that the client may
    /// have]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// What the bearer may do (`scope`), of what the subject token allows; may be repeated [default: what of it the client may
    /// have]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// How long the new token lives; never longer than the tokens that are given [default: the client's own]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Exchange {
    pub(super) fn run(self) -> Result<(), Failure> {
        let stdin = Path::new("-");
        if self.subject_token_file == stdin && self.actor_token_file.as_deref() == Some(stdin) {
            let message = "stdin holds one token: say --subject-token-file or --actor-token-file with a file";
            return Err(Failure::usage(message));
        }
        let subject = from_file("--subject-token-file", &self.subject_token_file)?;
        let actor = match &self.actor_token_file {
            Some(path) => Some(from_file("--actor-token-file", path)?),
            None => None,
        };
        let request = ExchangeTokenRequest {
            subject_token: subject.to_string(),
            subject_token_type: ACCESS_TOKEN.to_owned(),
            actor_token_type: actor.as_ref().map(|_| ACCESS_TOKEN.to_owned()).unwrap_or_default(),
            actor_token: actor.map(|actor| actor.to_string()).unwrap_or_default(),
            audiences: self.audiences,
            scopes: self.scopes,
            ttl: self.ttl.map(to_api),
            ..ExchangeTokenRequest::default()
        };
        let token = call(&self.connection, async |caller| {
            answer(TokenServiceClient::new(caller).exchange_token(request).await)
        })?;
        if !self.output.is_json() {
            return print(&token.access_token);
        }
        let mut document = token_document(&IssueTokenResponse {
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
        });
        if let Some(members) = document.as_object_mut() {
            members.insert("issued_token_type".to_owned(), token.issued_token_type.into());
        }
        print_json(&document)
    }
}

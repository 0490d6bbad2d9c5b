//! `tokend token exchange`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use super::{Service, input::from_file, print_token};
use crate::{
    cli::{connection::RemoteFlags, error::CliError, time_text::to_proto},
    proto::v1::ExchangeTokenRequest,
};

/// The type of both tokens (RFC 8693 section 3): whatever their issuer, they are JWTs that are used as access tokens.
pub(in crate::cli) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token exchange --actor-token-file own.jwt --audience billing --scope read < subject.jwt
  tokend token exchange --subject-token-file subject.jwt --audience billing --ttl 1m

The new token has the subject of the subject token, and the subject of the actor token as its actor. Without an actor token
the client needs the permission `impersonate`. Tokens come from files and stdin, because all users of a machine can see the
arguments of its processes.")]
pub(in crate::cli) struct Exchange {
    /// Read the subject token from this file [default: stdin, as for `-`]
    #[arg(long, value_name = "FILE", default_value = "-", hide_default_value = true)]
    subject_token_file: PathBuf,
    /// Read the actor token from this file; `-` is stdin
    #[arg(long, value_name = "FILE")]
    actor_token_file: Option<PathBuf>,
    /// Request an audience (`aud`), a service that may accept the new token; may be repeated [default: those of the subject token
    /// that the client may request]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// Request a scope of the subject token; may be repeated [default: those of the subject token that the client may request]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Set the lifetime of the new token, which never exceeds that of the given tokens [default: the client's own]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Exchange {
    pub(super) fn run(self) -> Result<(), CliError> {
        let stdin = Path::new("-");
        if self.subject_token_file == stdin && self.actor_token_file.as_deref() == Some(stdin) {
            let message = "stdin holds one token: give a file to --subject-token-file or --actor-token-file";
            return Err(CliError::usage(message));
        }
        let subject = from_file("--subject-token-file", &self.subject_token_file)?;
        let actor = self.actor_token_file.as_deref();
        let actor = actor.map(|path| from_file("--actor-token-file", path)).transpose()?;
        let request = ExchangeTokenRequest {
            subject_token: subject.to_string(),
            subject_token_type: ACCESS_TOKEN.to_owned(),
            actor_token_type: actor.as_ref().map(|_| ACCESS_TOKEN.to_owned()).unwrap_or_default(),
            actor_token: actor.map(|actor| actor.to_string()).unwrap_or_default(),
            audiences: self.audiences,
            scopes: self.scopes,
            ttl: self.ttl.map(to_proto),
            ..ExchangeTokenRequest::default()
        };
        let token = self.remote.unary(async |channel| Service::new(channel).exchange_token(request).await)?;
        print_token(&token, &self.remote.output)
    }
}

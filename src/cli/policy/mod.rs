//! `tokend policy`: explains what a client's policy allows.
//!
//! The answer comes from the checks and grants that a call goes through ([`crate::access`]). What only the server could look
//! up is assumed by flags; `-f` takes the client from a file, without a server.

mod flags;
mod question;
mod view;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, FromArgMatches as _, Subcommand};
use serde_json::Value;

use self::flags::{AssumptionFlags, GivenFlags, RuleFlags, What, method};
use crate::{
    access::{Explanation, explain},
    cli::{
        client::{get_client, read_file},
        connection::Connection,
        error::CliError,
        output::{Output, escaped, print, print_json},
        token::TokenFlags,
    },
    grpc::read_client,
    model::{Client, Method},
};

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Explain whether a client may make a request, and which line of its policy decides
    Explain(Box<Explain>),
}

impl PolicyCommand {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Explain(command) => command.run(),
        }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend policy explain web issue --audience orders --scope read --claim tenant=acme --ttl 5m
  tokend policy explain orders verify --audience orders
  tokend policy explain orders introspect
  tokend policy explain ops call KeyService/RotateKeys
  tokend policy explain shop login --username alice --audience orders --scope read --user-scope read --refresh
  tokend policy explain web refresh --session-audience orders --subject user:7
  tokend policy explain shop refresh --session-audience orders --by-login
  tokend policy explain ops revoke --token --subject user:7 --client web
  tokend policy explain ops revoke --subject user:7
  tokend policy explain orders exchange --subject alice --audience billing --with-actor
  tokend policy explain web issue --audience orders -f clients.toml    # by a file, without a server

WHAT takes:
  issue       what `tokend token issue` takes
  verify      --audience; --token-issuer for a token of another issuer
  introspect  --audience; --token-issuer for a token of another issuer
  call        METHOD: the permission to call it, whatever the request; for ClientService also --client, the administered client
  login       --username; --audience, --scope with --user-scope, --ttl, --refresh
  refresh     --session-audience; --subject and --claim of the session, or --by-login; --audience,
              --scope with --session-scope, and with --user-scope after --by-login
  revoke      one of --subject, --client and --jwt-id, or --token or --session with both --subject and --client; for
              a token of another issuer --token with --token-issuer
  exchange    --subject; --audience, --scope with --token-scope, --ttl, --token-…, --with-actor or --actor-…

Flags give what depends on a token, a session or a user; nothing is assumed without a flag. The command does not check
passwords, signatures, expiry and limits, and of the server's settings only those that a --server-… flag gives: without
--server-max-ttl only the client's own limit applies, and without --server-audience-algorithms audiences that need
different algorithms are not detected.

Exit status 0 means allowed, 1 denied, 2 that the question is wrong or incomplete.")]
pub(super) struct Explain {
    // First, because the following fields take their values out of the matches.
    #[command(flatten)]
    given: GivenFlags,
    /// The client's id
    #[arg(value_name = "CLIENT")]
    client_id: String,
    // No subcommand, because a client may have the same name.
    /// What the client requests
    #[arg(value_enum, value_name = "WHAT")]
    what: What,
    /// For call: the method, such as ClientService/CreateClient
    #[arg(value_name = "METHOD", value_parser = method)]
    method: Option<Method>,
    #[command(flatten)]
    token: TokenFlags,
    #[command(flatten)]
    assumed: AssumptionFlags,
    #[command(flatten)]
    rules: RuleFlags,
    /// Take the client from a file of `tokend client apply`, without a server
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

/// Returns what `tokend policy explain` prints as JSON. The arguments begin with the program's name.
///
/// # Errors
/// The message of the command.
pub fn explained(arguments: impl IntoIterator<Item = OsString>) -> Result<Value, String> {
    let command = Explain::augment_args(clap::Command::new("explain"));
    let matches = command.try_get_matches_from(arguments).map_err(|error| error.to_string())?;
    let explain = Explain::from_arg_matches(&matches).map_err(|error| error.to_string())?;
    let (client, explanation, _) =
        explain.explain().map_err(|error| error.message().unwrap_or_default().to_owned())?;
    Ok(view::document(&client, &explanation))
}

impl Explain {
    fn run(self) -> Result<(), CliError> {
        let (client, explanation, output) = self.explain()?;
        if output.is_json() {
            print_json(&view::document(&client, &explanation))?;
        } else {
            print(&view::text(&client, &explanation))?;
        }
        view::verdict(&client, &explanation).map_err(|rejection| CliError::failed(rejection.message))
    }

    fn explain(self) -> Result<(Arc<Client>, Explanation, Output), CliError> {
        self.given.check(self.what)?;
        let token = self.token.request()?;
        let question = question::question(self.what, self.method, token, self.assumed, &self.client_id)?;
        let rules = self.rules.rules()?;
        let client = Arc::new(client(self.client_id, self.file.as_deref(), &self.connection)?);
        let explanation = explain(&client, question, &rules);
        Ok((client, explanation, self.output))
    }
}

/// The client of the file, or of the server.
fn client(client_id: String, file: Option<&Path>, connection: &Connection) -> Result<Client, CliError> {
    let message = match file {
        Some(path) => {
            let file = read_file(path).map_err(|problems| CliError::usage(problems.to_string()))?;
            let found = file.clients.into_iter().find(|client| client.client_id == client_id);
            found.ok_or_else(|| {
                CliError::failed(format!("{} has no client `{}`", path.display(), escaped(&client_id)))
            })?
        }
        None => get_client(connection, client_id)?,
    };
    Ok(read_client(message)?)
}

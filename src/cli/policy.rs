//! `tokend policy`: what a client's policy says, and why.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, FromArgMatches as _, Subcommand};
use serde_json::Value;

use super::{
    client_file,
    connection::Connection,
    failure::Failure,
    output::{Output, plain, print, print_json},
    policy_flags::{PlannedFlags, RuleFlags, What, method},
    policy_question::{Asked, malformed},
    policy_view,
    remote::{answer, call},
    token_flags::TokenFlags,
};
use crate::{
    access::{Explanation, explain},
    grpc::read_client,
    model::{Client, Method},
    proto::v1::{GetClientRequest, client_service_client::ClientServiceClient},
};

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Say whether a client may do something, and by which line of its policy
    Explain(Box<Explain>),
}

impl PolicyCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
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
  call        METHOD: as a whole, whatever is then asked for; of ClientService with --client for that client
  login       --username; --audience, --scope with --user-scope, --ttl, --refresh
  refresh     --session-audience; --subject and --claim as the session was begun with them, or --by-login; --audience,
              --scope with --session-scope, and with --user-scope after --by-login
  revoke      one of --subject, --client and --jwt-id, or --token or --session with both --subject and --client; of
              another issuer's token --token with --token-issuer
  exchange    --subject; --audience, --scope with --token-scope, --ttl, --token-…, --with-actor or --actor-…

What nobody can know but by a token, a session or a user is said by flags, and nothing is taken for granted. Not looked at
is whether they are good: a password, a signature, an expiry. Nor are limits, and the server's settings but for those
that a --server-… flag names: without --server-max-ttl only the client's own bound counts, and without
--server-audience-algorithms audiences that want different algorithms are not noticed.

Exit status 0 means allowed, 1 denied, 2 that the question is wrong or incomplete.")]
pub(super) struct Explain {
    /// The client's id
    #[arg(value_name = "CLIENT")]
    client_id: String,
    // No subcommand: a client may be called like one.
    /// What the client would do
    #[arg(value_enum, value_name = "WHAT")]
    what: What,
    /// For call: the method, such as ClientService/CreateClient
    #[arg(value_name = "METHOD", value_parser = method)]
    method: Option<Method>,
    #[command(flatten)]
    token: TokenFlags,
    #[command(flatten)]
    planned: PlannedFlags,
    #[command(flatten)]
    rules: RuleFlags,
    /// Take the client from a file, as `tokend client apply` reads it, and ask no server
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

/// What `tokend policy explain` with these arguments, the program's name first, prints as JSON.
///
/// # Errors
/// What is wrong with the question, in words.
pub fn explained(arguments: impl IntoIterator<Item = OsString>) -> Result<Value, String> {
    let command = Explain::augment_args(clap::Command::new("explain"));
    let matches = command.try_get_matches_from(arguments).map_err(|error| error.to_string())?;
    let explain = Explain::from_arg_matches(&matches).map_err(|error| error.to_string())?;
    let answered = explain.answer();
    let (client, explanation, _) =
        answered.map_err(|failure| failure.message().unwrap_or_default().to_owned())?;
    Ok(policy_view::document(&client, &explanation))
}

impl Explain {
    fn run(self) -> Result<(), Failure> {
        let (client, explanation, output) = self.answer()?;
        if output.is_json() {
            print_json(&policy_view::document(&client, &explanation))?;
        } else {
            print(&policy_view::text(&client, &explanation))?;
        }
        policy_view::verdict(&client, &explanation).map_err(|refused| Failure::refused(refused.because))
    }

    fn answer(self) -> Result<(Arc<Client>, Explanation, Output), Failure> {
        let Self { client_id, what, method, token, planned, rules, file, output, connection } = self;
        let asked = Asked { what, method, token, planned, rules: &rules };
        let question = asked.question(&client_id)?;
        let rules = rules.rules()?;
        let client = Arc::new(client(client_id, file.as_deref(), &connection)?);
        let explanation = explain(&client, question, &rules);
        Ok((client, explanation, output))
    }
}

/// The client as the file says it, or as the server has it.
fn client(client_id: String, file: Option<&Path>, connection: &Connection) -> Result<Client, Failure> {
    let message = match file {
        Some(path) => {
            let clients = client_file::read(path).map_err(|problems| Failure::usage(problems.to_string()))?;
            let found = clients.into_iter().find(|client| client.client_id == client_id);
            found.ok_or_else(|| {
                Failure::refused(format!("{} has no client `{}`", path.display(), plain(&client_id)))
            })?
        }
        None => {
            let request = GetClientRequest { client_id };
            let shown = call(connection, async |caller| {
                answer(ClientServiceClient::new(caller).get_client(request).await)
            })?;
            shown.client.unwrap_or_default()
        }
    };
    read_client(message).map_err(|wrong| malformed(&wrong))
}

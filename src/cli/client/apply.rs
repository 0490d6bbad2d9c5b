//! `tokend client apply`: changes the server's clients to the state of a file.

use std::path::PathBuf;

use clap::Args;
use prost_types::FieldMask;
use serde_json::{Value, json};

use super::{
    Service, all_clients,
    file::{ClientFile, read_file},
    plan::{Step, Terms, plan},
    secrets::Secrets,
};
use crate::{
    cli::{
        connection::{AuthenticatedChannel, RemoteFlags, response},
        error::CliError,
        output::{escaped, message, print, print_json},
    },
    proto::v1::{CreateClientRequest, DeleteClientRequest, UpdateClientRequest},
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend client apply -f clients.toml --dry-run
  tokend client apply -f clients.toml --secrets-dir ./secrets
  tokend client apply -f clients.toml --prune --keep admin --check    # in CI: status 1 if anything differs

A file holds a [[client]] for each client, with the field names of the API:
  [[client]]
  client_id = \"orders\"
  permissions.methods = [\"TokenService/VerifyToken\"]
  permissions.verify_audiences = [\"orders\"]

The command checks the whole file first; an invalid file changes nothing. It prints the difference before it changes
anything; for a new client that is everything that differs from the defaults.
A field that is not in the file gets its default. Exceptions are verify_issuers, exchange_actors and admin_clients: an
existing client keeps them until the file names them.
If another change to a client happens at the same time, the command does not overwrite it and fails: run it again. The
secret of each new client goes to stdout, as CLIENT SECRET, or into --secrets-dir.")]
pub(in crate::cli) struct Apply {
    /// The file with the clients
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// Print the difference, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the difference, change nothing, and fail if there is one
    #[arg(long)]
    check: bool,
    /// Delete clients that are not in the file, except for the caller's own
    #[arg(long)]
    prune: bool,
    /// Keep a client that --prune would delete; may be repeated
    #[arg(long, value_name = "ID", requires = "prune")]
    keep: Vec<String>,
    /// Name the caller's own client, which --prune keeps, if the credential does not contain its id
    #[arg(long, value_name = "ID", requires = "prune")]
    caller: Option<String>,
    /// Write the secrets of new clients to this folder, each to a file named after the client, readable by its owner only
    #[arg(long, value_name = "DIR")]
    secrets_dir: Option<PathBuf>,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Apply {
    pub(super) fn run(self) -> Result<(), CliError> {
        let file = read_file(&self.file).map_err(|problems| {
            CliError::usage(format!(
                "{} is invalid, and nothing was changed:\n{problems}",
                self.file.display()
            ))
        })?;
        let caller_id = self.remote.connection.caller_id()?;
        if let (Some(known), Some(named)) = (&caller_id, &self.caller)
            && known != named
        {
            return Err(CliError::usage(format!("--caller: the credential is that of `{}`", escaped(known))));
        }
        let caller_id = caller_id.or_else(|| self.caller.clone());
        if self.prune && caller_id.is_none() {
            return Err(CliError::usage(
                "--prune: the credential does not contain the id of the caller's own client; name the client with --caller",
            ));
        }
        if self.prune && file.clients.is_empty() {
            return Err(CliError::usage(format!(
                "--prune: {} has no client, and all clients would be deleted",
                self.file.display()
            )));
        }
        self.remote.call(async |channel| self.apply(channel, file, caller_id.as_deref()).await)
    }

    async fn apply(
        &self,
        channel: AuthenticatedChannel,
        file: ClientFile,
        caller_id: Option<&str>,
    ) -> Result<(), CliError> {
        let mut service = Service::new(channel);
        let present = all_clients(&mut service).await?;
        let named =
            self.keep.iter().map(|id| ("--keep", id)).chain(self.caller.iter().map(|id| ("--caller", id)));
        for (flag, id) in named {
            // A misspelt id would not keep its client.
            if !present.iter().any(|client| client.client_id == *id) {
                return Err(CliError::usage(format!("{flag}: there is no client `{}`", escaped(id))));
            }
        }
        let keep = self.keep.iter().map(String::as_str).chain(caller_id).map(str::to_owned).collect();
        let ClientFile { clients: wanted, kept } = file;
        let terms = Terms { present: &present, prune: self.prune, keep, caller: caller_id, kept };
        let steps = plan(wanted, &terms)?;
        if self.dry_run || self.check {
            return self.show(&steps);
        }
        let mut secrets = Secrets::new(self.secrets_dir.as_deref(), &self.remote.output, &steps)?;
        self.print_steps(&steps, message);
        let changes: Vec<Value> = steps.iter().map(Step::json).collect();
        let mut done = 0_usize;
        let mut outcome = Ok(());
        for step in steps {
            outcome = run(&mut service, step, &mut secrets).await;
            if outcome.is_err() {
                break;
            }
            done += 1;
        }
        if self.remote.is_json() {
            // After a failure too, because the secrets that were created are in the output.
            let changes: Vec<&Value> = changes.iter().take(done).collect();
            print_json(&json!({ "changes": changes, "client_secrets": secrets.into_json() }))?;
        }
        let total = changes.len();
        outcome.map_err(|error| match error {
            CliError::Failed(message) if done > 0 => {
                CliError::failed(format!("after {done} of {total} clients: {message}"))
            }
            other => other,
        })
    }

    /// Prints the difference.
    fn show(&self, steps: &[Step]) -> Result<(), CliError> {
        if self.remote.is_json() {
            let changes: Vec<Value> = steps.iter().map(Step::json).collect();
            print_json(&json!({ "changes": changes }))?;
        } else {
            let mut printed = Ok(());
            self.print_steps(steps, |line| {
                if printed.is_ok() {
                    printed = print(line);
                }
            });
            printed?;
        }
        if self.check && !steps.is_empty() {
            return Err(CliError::failed(format!("{} clients differ from the file", steps.len())));
        }
        Ok(())
    }

    fn print_steps(&self, steps: &[Step], mut line: impl FnMut(&str)) {
        if steps.is_empty() {
            line("nothing to change");
        }
        steps.iter().for_each(|step| line(&step.text()));
    }
}

async fn run(service: &mut Service, step: Step, secrets: &mut Secrets<'_>) -> Result<(), CliError> {
    let client_id = step.client_id().to_owned();
    let changed = match step {
        Step::Create { client, .. } => {
            let request = CreateClientRequest { client: Some(*client), request_id: String::new() };
            return match response(service.create_client(request).await) {
                Ok(created) => secrets.write(&client_id, created.client_secret),
                Err(error) => Err(with_client(&client_id, error)),
            };
        }
        Step::Update { client, fields } => {
            let paths = fields.iter().map(|field| field.path.to_owned()).collect();
            let request = UpdateClientRequest {
                client: Some(*client),
                update_mask: Some(FieldMask { paths }),
                request_id: String::new(),
            };
            response(service.update_client(request).await).map(drop)
        }
        Step::Delete { client_id, etag } => {
            let request = DeleteClientRequest { client_id, etag, request_id: String::new() };
            response(service.delete_client(request).await).map(drop)
        }
    };
    changed.map_err(|error| with_client(&client_id, error))
}

fn with_client(client_id: &str, error: CliError) -> CliError {
    match error {
        CliError::Failed(message) => CliError::failed(format!("client `{client_id}`: {message}")),
        other => other,
    }
}

//! `tokend client apply`: the server's clients as a file says them.

use std::path::PathBuf;

use clap::Args;
use prost_types::FieldMask;
use serde_json::{Value, json};

use super::{
    client::all_clients,
    client_file::{self, ClientFile},
    client_plan::{Step, Terms, plan},
    client_secrets::Secrets,
    connection::{Caller, Connection},
    failure::Failure,
    output::{Output, plain, print, print_json, talk},
    remote::{answer, call},
};
use crate::proto::v1::{
    CreateClientRequest, DeleteClientRequest, UpdateClientRequest, client_service_client::ClientServiceClient,
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend client apply -f clients.toml --dry-run
  tokend client apply -f clients.toml --secrets-dir ./secrets
  tokend client apply -f clients.toml --prune --keep admin --check    # in CI: status 1 if anything differs

A file holds a [[client]] for each, with the names of the API:
  [[client]]
  client_id = \"orders\"
  permissions.methods = [\"TokenService/VerifyToken\"]
  permissions.verify_audiences = [\"orders\"]

The whole file is checked first; one that is wrong changes nothing. The difference is printed before anything is done; of a
new client that is all that the file says beyond the defaults.
What is left out has its default, but for verify_issuers, exchange_actors and admin_clients: a client that is there keeps these
until the file names them.
A client that somebody else changes meanwhile is left alone, and the command fails: run it again. The secret of each
new client goes to stdout, as CLIENT SECRET, or into --secrets-dir.")]
pub(super) struct Apply {
    /// The file with the clients
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// Only print the difference
    #[arg(long)]
    dry_run: bool,
    /// Only print the difference, and fail if there is any
    #[arg(long)]
    check: bool,
    /// Delete clients that are not in the file, but never the caller's own
    #[arg(long)]
    prune: bool,
    /// A client that --prune leaves alone; may be repeated
    #[arg(long, value_name = "ID", requires = "prune")]
    keep: Vec<String>,
    /// The caller's own client, which --prune leaves alone, where the credential does not tell which that is
    #[arg(long, value_name = "ID", requires = "prune")]
    caller: Option<String>,
    /// A folder for the secrets of new clients: a file for each, named by its id, that only its owner may read
    #[arg(long, value_name = "DIR")]
    secrets_dir: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Apply {
    pub(super) fn run(self) -> Result<(), Failure> {
        let file = client_file::read(&self.file).map_err(|problems| {
            Failure::usage(format!("{} changes nothing:\n{problems}", self.file.display()))
        })?;
        let caller_id = self.connection.caller_id()?;
        if let (Some(told), Some(named)) = (&caller_id, &self.caller)
            && told != named
        {
            return Err(Failure::usage(format!("--caller: the credential is that of `{}`", plain(told))));
        }
        let caller_id = caller_id.or_else(|| self.caller.clone());
        if self.prune && caller_id.is_none() {
            return Err(Failure::usage(
                "--prune: the credential does not tell which client is the caller's own; name it with --caller",
            ));
        }
        if self.prune && file.clients.is_empty() {
            return Err(Failure::usage(format!(
                "--prune: {} has no client, and every other would be deleted",
                self.file.display()
            )));
        }
        call(&self.connection, async |caller| self.apply(caller, file, caller_id.as_deref()).await)
    }

    async fn apply(&self, caller: Caller, file: ClientFile, caller_id: Option<&str>) -> Result<(), Failure> {
        let mut service = ClientServiceClient::new(caller);
        let present = all_clients(&mut service).await?;
        let named =
            self.keep.iter().map(|id| ("--keep", id)).chain(self.caller.iter().map(|id| ("--caller", id)));
        for (flag, id) in named {
            // A misspelt one would be deleted.
            if !present.iter().any(|client| client.client_id == *id) {
                return Err(Failure::usage(format!("{flag}: there is no client `{}`", plain(id))));
            }
        }
        let keep = self.keep.iter().map(String::as_str).chain(caller_id).map(str::to_owned).collect();
        let ClientFile { clients: wanted, kept } = file;
        let terms = Terms { present: &present, prune: self.prune, keep, caller: caller_id, kept };
        let steps = plan(wanted, &terms)?;
        if self.dry_run || self.check {
            return self.show(&steps);
        }
        let mut secrets = Secrets::new(self.secrets_dir.as_deref(), &self.output, &steps)?;
        self.say(&steps, talk);
        let changes: Vec<Value> = steps.iter().map(Step::json).collect();
        let mut done = 0_usize;
        let mut outcome = Ok(());
        for step in steps {
            outcome = make(&mut service, step, &mut secrets).await;
            if outcome.is_err() {
                break;
            }
            done += 1;
        }
        if self.output.is_json() {
            // Whatever happened: the secrets that were made are in it.
            let made: Vec<&Value> = changes.iter().take(done).collect();
            print_json(&json!({ "changes": made, "client_secrets": secrets.into_json() }))?;
        }
        let total = changes.len();
        outcome.map_err(|failure| match failure {
            Failure::Refused(message) if done > 0 => {
                Failure::refused(format!("after {done} of {total} clients: {message}"))
            }
            other => other,
        })
    }

    /// The difference, which is all that was asked for.
    fn show(&self, steps: &[Step]) -> Result<(), Failure> {
        if self.output.is_json() {
            let changes: Vec<Value> = steps.iter().map(Step::json).collect();
            print_json(&json!({ "changes": changes }))?;
        } else {
            let mut printed = Ok(());
            self.say(steps, |line| {
                if printed.is_ok() {
                    printed = print(line);
                }
            });
            printed?;
        }
        if self.check && !steps.is_empty() {
            return Err(Failure::refused(format!("{} clients are not as the file says", steps.len())));
        }
        Ok(())
    }

    fn say(&self, steps: &[Step], mut line: impl FnMut(&str)) {
        if steps.is_empty() {
            line("nothing to change");
        }
        steps.iter().for_each(|step| line(&step.text()));
    }
}

type Service = ClientServiceClient<Caller>;

async fn make(service: &mut Service, step: Step, secrets: &mut Secrets<'_>) -> Result<(), Failure> {
    let client_id = step.client_id().to_owned();
    let made = match step {
        Step::Create { client, .. } => {
            let request = CreateClientRequest { client: Some(*client), request_id: String::new() };
            let made = answer(service.create_client(request).await);
            return match made {
                Ok(made) => secrets.keep(&client_id, made.client_secret),
                Err(failure) => Err(of_client(&client_id, failure)),
            };
        }
        Step::Update { client, fields } => {
            let paths = fields.iter().map(|field| field.path.to_owned()).collect();
            let request = UpdateClientRequest {
                client: Some(*client),
                update_mask: Some(FieldMask { paths }),
                request_id: String::new(),
            };
            answer(service.update_client(request).await).map(drop)
        }
        Step::Delete { client_id, etag } => {
            let request = DeleteClientRequest { client_id, etag, request_id: String::new() };
            answer(service.delete_client(request).await).map(drop)
        }
    };
    made.map_err(|failure| of_client(&client_id, failure))
}

fn of_client(client_id: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Refused(message) => Failure::refused(format!("client `{client_id}`: {message}")),
        other => other,
    }
}

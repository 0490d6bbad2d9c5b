//! `tokend key reseal` and `tokend key accept-clock`, which work on the store itself.

use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use crate::{
    cli::{
        error::CliError,
        output::{Output, confirm, escaped, message, print, print_json, row, table},
        server::{SettingFlags, with_store},
    },
    clock::{Clock, SystemClock},
    keys::{KeyError, Outcome, Resealing, Sealer, reseal},
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend key reseal --config /etc/tokend/tokend.toml
  tokend key reseal --config /etc/tokend/tokend.toml --new-data-key    # after Vault's key was rotated

Encrypts each private key with the first sealing key, and signs each row of a key or a client with it. A row that fails its
check, or has no MAC while `require_row_macs` is set, is not signed. Takes the settings of `tokend serve`, and works on the
store itself; servers may run. Before you move keys, give every server the new sealing key in addition to the old one, and
restart it. A key that cannot be decrypted stays unchanged and is listed with the reason; the exit status is then 1.")]
pub(in crate::cli) struct Reseal {
    /// First have Vault wrap a new sealing key with the newest version of its key
    #[arg(long)]
    new_data_key: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Reseal {
    pub(super) fn run(self) -> Result<(), CliError> {
        let config = self.settings.config()?;
        let done = with_store(&config, async |store| -> Result<Resealing, KeyError> {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let sealer = Sealer::new(&config.settings.keys.sealing, store, &clock)?;
            if self.new_data_key {
                sealer.renew().await?;
            }
            reseal(store, &sealer).await
        })?;
        let failed = |outcome: &&Outcome| matches!(outcome, Outcome::Failed(_));
        let keys = done.keys.iter().map(|key| &key.outcome).filter(failed).count();
        let clients = done.clients.iter().map(|client| &client.outcome).filter(failed).count();
        if self.output.is_json() {
            print_json(&document(&done))?;
        } else {
            message(&format!("the sealing key is {}", done.sealing_key_id));
            print(&tables(&done))?;
        }
        match (keys, clients) {
            (0, 0) => Ok(()),
            (1, 0) => Err(CliError::failed("1 key was not moved")),
            (many, 0) => Err(CliError::failed(format!("{many} keys were not moved"))),
            (keys, clients) => Err(CliError::failed(format!(
                "not moved or signed: {keys} of the keys, {clients} of the clients"
            ))),
        }
    }
}

fn document(done: &Resealing) -> Value {
    let keys = done.keys.iter().map(|key| {
        let (outcome, problem) = outcome(&key.outcome);
        json!({ "key_id": key.key_id.as_str(), "algorithm": key.algorithm.name(), "outcome": outcome, "problem": problem })
    });
    let clients = done.clients.iter().map(|client| {
        let (outcome, problem) = outcome(&client.outcome);
        json!({ "client_id": client.client_id.as_str(), "outcome": outcome, "problem": problem })
    });
    json!({
        "sealing_key_id": done.sealing_key_id.to_string(),
        "keys": keys.collect::<Vec<_>>(),
        "clients": clients.collect::<Vec<_>>(),
    })
}

fn tables(done: &Resealing) -> String {
    let text = |result: &Outcome| match outcome(result) {
        (outcome, Some(problem)) => format!("{outcome}: {}", escaped(&problem)),
        (outcome, None) => outcome.to_owned(),
    };
    let mut keys = vec![row(["KEY", "ALGORITHM", "OUTCOME"])];
    keys.extend(
        done.keys.iter().map(|key| {
            row([escaped(key.key_id.as_str()), key.algorithm.name().to_owned(), text(&key.outcome)])
        }),
    );
    let mut clients = vec![row(["CLIENT", "OUTCOME"])];
    clients
        .extend(done.clients.iter().map(|client| row([client.client_id.to_string(), text(&client.outcome)])));
    format!("{}\n\n{}", table(&keys).trim_end(), table(&clients))
}

fn outcome(outcome: &Outcome) -> (&'static str, Option<String>) {
    match outcome {
        Outcome::Moved => ("resealed", None),
        Outcome::Signed => ("signed", None),
        Outcome::Unchanged => ("unchanged", None),
        Outcome::Failed(error) => ("failed", Some(error.to_string())),
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend key accept-clock --config /etc/tokend/tokend.toml

A server that does not trust its clock rotates no keys and deletes nothing that has expired; its log contains the reason.
Correct the clock first. If the clock is right, and the other clocks are wrong, accept it: servers with the same time, or up
to ten minutes ahead, continue within seconds. Takes the settings of `tokend serve`, and works on the store itself.")]
pub(in crate::cli) struct AcceptClock {
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

impl AcceptClock {
    pub(super) fn run(self) -> Result<(), CliError> {
        let config = self.settings.config()?;
        let now = SystemClock.now();
        if !self.yes {
            confirm(&format!(
                "Is it {now} now? If that is wrong, keys rotate too early and valid tokens are rejected."
            ))?;
        }
        with_store(&config, async |store| store.mark_clock(now, true).await)?;
        message(&format!("accepted: it is {now}"));
        Ok(())
    }
}

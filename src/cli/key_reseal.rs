//! `tokend key reseal`: every stored key under the sealing key that seals now, and every row signed under it.

use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::{
    config,
    failure::Failure,
    output::{Output, plain, print, print_json, talk},
    setting_flags::SettingFlags,
    table::{row, table},
};
use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    keys::{KeyError, Outcome, Resealing, Sealer, reseal},
    store::{self, Store},
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend key reseal --config /etc/tokend/tokend.toml
  tokend key reseal --config /etc/tokend/tokend.toml --new-data-key    # Vault's key was rotated

Moves each private key under the first sealing key, and signs each row of a key or a client under it. A row that fails its
check, or has no MAC while `require_row_macs` is set, is not signed. Takes the settings of `tokend serve`, and works on the store itself; servers may run. Give every server the new sealing
key beside the old one, and restart it, before its keys are moved. A key that does not open is named with the reason
and left as it was; the exit status is then 1.")]
pub(super) struct Reseal {
    /// First have Vault wrap a fresh sealing key, with its key's newest version
    #[arg(long)]
    new_data_key: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Reseal {
    pub(super) fn run(self) -> Result<(), Failure> {
        let config = self.settings.resolve().config().map_err(|problems| config::refused(&problems))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let done = runtime.block_on(work(config, self.new_data_key))?;
        let failed = |outcome: &&Outcome| matches!(outcome, Outcome::Failed(_));
        let keys = done.keys.iter().map(|key| &key.outcome).filter(failed).count();
        let clients = done.clients.iter().map(|client| &client.outcome).filter(failed).count();
        if self.output.is_json() {
            print_json(&document(&done))?;
        } else {
            talk(&format!("the sealing key is {}", done.sealing_key_id));
            print(&lines(&done))?;
        }
        match (keys, clients) {
            (0, 0) => Ok(()),
            (1, 0) => Err(Failure::refused("1 key was not moved")),
            (many, 0) => Err(Failure::refused(format!("{many} keys were not moved"))),
            (keys, clients) => Err(Failure::refused(format!(
                "not moved or signed: {keys} of the keys, {clients} of the clients"
            ))),
        }
    }
}

async fn work(config: Config, new_data_key: bool) -> Result<Resealing, Failure> {
    let store = store::open(&config.store)
        .await
        .map_err(|error| Failure::refused(format!("setting `store`: {error}")))?;
    let result = on(&store, &config, new_data_key).await;
    store.close().await;
    result.map_err(|error| Failure::refused(plain(&error.to_string())))
}

async fn on(store: &Arc<Store>, config: &Config, new_data_key: bool) -> Result<Resealing, KeyError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sealer = Sealer::new(&config.sealing, store, &clock)?;
    if new_data_key {
        sealer.renew().await?;
    }
    reseal(store, &sealer).await
}

fn document(done: &Resealing) -> Value {
    let keys = done.keys.iter().map(|key| {
        let (outcome, problem) = words(&key.outcome);
        json!({ "key_id": key.key_id.as_str(), "algorithm": key.algorithm.name(), "outcome": outcome, "problem": problem })
    });
    let clients = done.clients.iter().map(|client| {
        let (outcome, problem) = words(&client.outcome);
        json!({ "client_id": client.client_id.as_str(), "outcome": outcome, "problem": problem })
    });
    json!({
        "sealing_key_id": done.sealing_key_id.to_string(),
        "keys": keys.collect::<Vec<_>>(),
        "clients": clients.collect::<Vec<_>>(),
    })
}

fn lines(done: &Resealing) -> String {
    let outcome = |outcome: &Outcome| match words(outcome) {
        (outcome, Some(problem)) => format!("{outcome}: {}", plain(&problem)),
        (outcome, None) => outcome.to_owned(),
    };
    let mut keys = vec![row(["KEY", "ALGORITHM", "OUTCOME"])];
    keys.extend(done.keys.iter().map(|key| {
        row([plain(key.key_id.as_str()), key.algorithm.name().to_owned(), outcome(&key.outcome)])
    }));
    let mut clients = vec![row(["CLIENT", "OUTCOME"])];
    clients.extend(
        done.clients.iter().map(|client| row([client.client_id.to_string(), outcome(&client.outcome)])),
    );
    format!("{}\n\n{}", table(&keys).trim_end(), table(&clients))
}

fn words(outcome: &Outcome) -> (&'static str, Option<String>) {
    match outcome {
        Outcome::Moved => ("resealed", None),
        Outcome::Signed => ("signed", None),
        Outcome::Unchanged => ("unchanged", None),
        Outcome::Failed(error) => ("failed", Some(error.to_string())),
    }
}

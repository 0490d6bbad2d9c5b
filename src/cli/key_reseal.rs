//! `tokend key reseal`: every stored key under the sealing key that seals now.

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
    keys::{KeyError, Outcome, Resealed, Sealer, reseal},
    model::SealingKeyId,
    store::{self, Store},
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend key reseal --config /etc/tokend/tokend.toml
  tokend key reseal --config /etc/tokend/tokend.toml --new-data-key    # Vault's key was rotated

Takes the settings of `tokend serve`, and works on the store itself; servers may run. Give every server the new sealing
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
        let (to, keys) = runtime.block_on(work(config, self.new_data_key))?;
        let failed = keys.iter().filter(|key| matches!(key.outcome, Outcome::Failed(_))).count();
        if self.output.is_json() {
            print_json(&document(to, &keys))?;
        } else {
            talk(&format!("the sealing key is {to}"));
            print(&lines(&keys))?;
        }
        match failed {
            0 => Ok(()),
            1 => Err(Failure::refused("1 key was not moved")),
            many => Err(Failure::refused(format!("{many} keys were not moved"))),
        }
    }
}

async fn work(config: Config, new_data_key: bool) -> Result<(SealingKeyId, Vec<Resealed>), Failure> {
    let store = store::open(&config.store)
        .await
        .map_err(|error| Failure::refused(format!("setting `store`: {error}")))?;
    let result = on(&store, &config, new_data_key).await;
    store.close().await;
    result.map_err(|error| Failure::refused(plain(&error.to_string())))
}

async fn on(
    store: &Arc<dyn Store>,
    config: &Config,
    new_data_key: bool,
) -> Result<(SealingKeyId, Vec<Resealed>), KeyError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sealer = Sealer::new(&config.sealing, store, &clock)?;
    if new_data_key {
        sealer.renew().await?;
    }
    reseal(&**store, &sealer).await
}

fn document(to: SealingKeyId, keys: &[Resealed]) -> Value {
    let keys = keys.iter().map(|key| {
        let (outcome, problem) = words(&key.outcome);
        json!({ "key_id": key.key_id.as_str(), "algorithm": key.algorithm.name(), "outcome": outcome, "problem": problem })
    });
    json!({ "sealing_key_id": to.to_string(), "keys": keys.collect::<Vec<_>>() })
}

fn lines(keys: &[Resealed]) -> String {
    let mut rows = vec![row(["KEY", "ALGORITHM", "OUTCOME"])];
    rows.extend(keys.iter().map(|key| {
        let (outcome, problem) = words(&key.outcome);
        let outcome = match problem {
            Some(problem) => format!("{outcome}: {}", plain(&problem)),
            None => outcome.to_owned(),
        };
        row([plain(key.key_id.as_str()), key.algorithm.name().to_owned(), outcome])
    }));
    table(&rows)
}

fn words(outcome: &Outcome) -> (&'static str, Option<String>) {
    match outcome {
        Outcome::Moved => ("resealed", None),
        Outcome::Unchanged => ("unchanged", None),
        Outcome::Failed(error) => ("failed", Some(error.to_string())),
    }
}

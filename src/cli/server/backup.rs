//! `tokend backup` and `tokend restore`: a copy of a store in a SQLite file.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;

use super::{SettingFlags, revoke};
use crate::{
    cli::{
        error::CliError,
        output::{escaped, message},
    },
    clock::{Clock, SystemClock},
    config::Config,
    keys::KeyRing,
    model::{RevocationRecord, UnixTime},
    store::{self, Location, OpenOptions, Store, backup},
    tokens::{next_second, revoke_everything},
};

#[derive(Args)]
#[command(after_help = "Example:
  tokend backup /var/backups/tokend-monday.db --config /etc/tokend/tokend.toml

Copies a store in a SQLite file, also while the server runs. The file must not exist; only its owner can read it. It contains
no sealing key: keep a copy of that key in another place. Back up PostgreSQL with pg_dump.")]
pub(in crate::cli) struct Backup {
    /// The file to create
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Backup {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let config = self.settings.config()?;
        let path = sqlite(&config, "back it up with `pg_dump --format=custom --file=FILE \"$URL\"`")?;
        if self.file.exists() {
            let problem = "exists already and is not overwritten; name another file";
            return Err(CliError::failed(format!("{} {problem}", self.file.display())));
        }
        runtime()?.block_on(backup::create(path, &self.file)).map_err(failed)?;
        message(&format!("created {}; keep a copy of the sealing key in another place", self.file.display()));
        Ok(())
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend restore /var/backups/tokend-monday.db --config /etc/tokend/tokend.toml
  tokend restore /var/backups/tokend-monday.db --replace --config /etc/tokend/tokend.toml

Stop the server first. The backup lacks what was revoked since: therefore all tokens issued until now are rejected, and all
sessions end; clients request new tokens, and users log in again. Keys, clients and users are again as they were when the
backup was made: revoke, disable or delete them again. Restore PostgreSQL with pg_restore, and then run `tokend revoke
everything-before now`.")]
pub(in crate::cli) struct Restore {
    /// The backup: a file that `tokend backup` or sqlite3 made
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the existing store, which is kept under another name
    #[arg(long)]
    replace: bool,
    /// Accept the tokens that were issued until now, also those that were revoked after the backup was made
    #[arg(long)]
    keep_tokens: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Restore {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let config = self.settings.config()?;
        let next = "restore it with `pg_restore --dbname \"$URL\" FILE`, and then run `tokend revoke everything-before now`";
        let path = std::path::absolute(sqlite(&config, next)?)?;
        if path.exists() && !self.replace {
            let problem = "exists: give --replace to move it away and restore the backup in its place";
            return Err(CliError::failed(format!("the store {} {problem}", path.display())));
        }
        let folder = path.parent().unwrap_or(&path);
        // In the folder of the store, so that it can take its place at once. It is removed after a failure.
        let temporary = tempfile::Builder::new().prefix(".tokend-restore-").tempdir_in(folder);
        let temporary =
            temporary.map_err(|error| CliError::failed(format!("{}: {error}", folder.display())))?;
        let copy = temporary.path().join("tokend.db");
        let now = SystemClock.now();
        runtime()?.block_on(async {
            let shown = |error: &dyn std::fmt::Display| {
                let text = error.to_string().replace(&copy.display().to_string(), &self.file.display().to_string());
                CliError::failed(escaped(&text))
            };
            backup::unpack(&self.file, &copy).await.map_err(|error| shown(&error))?;
            let opened = store::open_with(&Location::Sqlite(copy.clone()), &OpenOptions::EXISTING).await;
            let store = opened.map_err(|error| shown(&error))?;
            let prepared = prepare(&store, config, (!self.keep_tokens).then_some(now)).await;
            store.close().await;
            let revoked = prepared?;
            for moved in backup::move_away(&path, &format!(".replaced-{}", now.seconds())).await.map_err(failed)? {
                message(&format!("moved away: {}", moved.display()));
            }
            backup::put(&copy, &path).map_err(failed)?;
            message(&format!("restored {} from {}", path.display(), self.file.display()));
            match revoked {
                Some(record) => revoke::report_text(&record, next_second(now)),
                None => message("warning: tokens that were revoked after the backup was made are valid again"),
            }
            message("keys, clients and users are as they were when the backup was made: revoke, disable or delete again what changed");
            Ok(())
        })
    }
}

/// Checks that the sealing key opens the keys, and rejects the tokens issued until `now`.
async fn prepare(
    store: &Arc<Store>,
    config: Config,
    now: Option<UnixTime>,
) -> Result<Option<RevocationRecord>, CliError> {
    let schedule = config.settings.keys.schedule;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ring = KeyRing::open(Arc::clone(store), config.settings.keys, clock).await.map_err(failed)?;
    for (key_id, problem) in ring.usability() {
        if let Some(problem) = problem {
            message(&format!("warning: the key {key_id} cannot be used: {}", escaped(&problem)));
        }
    }
    let Some(now) = now else { return Ok(None) };
    revoke_everything(store, &schedule, next_second(now), now).await.map(Some).map_err(failed)
}

/// The file of the store. A PostgreSQL database has programs of its own.
fn sqlite<'c>(config: &'c Config, next: &str) -> Result<&'c Path, CliError> {
    match &config.settings.store {
        Location::Sqlite(path) => Ok(path),
        other => Err(CliError::usage(format!("the store {other} is no SQLite file: {next}"))),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::failed(escaped(&error.to_string()))
}

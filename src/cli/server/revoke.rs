//! `tokend revoke`: revocation in the store itself.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{SettingFlags, with_store};
use crate::{
    cli::{
        error::CliError,
        output::{Output, confirm, message, print_json},
        time_text::parse_instant,
    },
    clock::{Clock as _, SystemClock},
    model::{RevocationRecord, RevocationTarget, UnixTime},
    tokens::{FURTHEST_AHEAD, next_second, revoke_everything},
};

#[derive(Subcommand)]
pub(in crate::cli) enum RevokeCommand {
    /// Reject all tokens issued before an instant, and end all sessions that began before it
    EverythingBefore(EverythingBefore),
}

impl RevokeCommand {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        match self {
            Self::EverythingBefore(command) => command.run(),
        }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend revoke everything-before now --config /etc/tokend/tokend.toml
  tokend revoke everything-before 2030-01-31T12:00:00Z --yes --config /etc/tokend/tokend.toml

Run this after restoring a backup: the backup lacks the revocations made since, so that those tokens and sessions are valid
again. `now` rejects all of them; clients request new tokens, and users log in again.

Takes the settings of `tokend serve`, and works on the store itself. Servers may be stopped, so that they accept nothing in
the meantime, or run: then they follow within a second. Tokens of other issuers, verified with imported keys, stay valid.")]
pub(in crate::cli) struct EverythingBefore {
    /// RFC 3339 (2030-01-31T12:00:00Z), seconds since 1970, or `now`
    #[arg(value_name = "INSTANT", value_parser = moment)]
    before: Moment,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Clone, Copy)]
enum Moment {
    Now,
    At(UnixTime),
}

fn moment(text: &str) -> Result<Moment, String> {
    if text == "now" { Ok(Moment::Now) } else { parse_instant(text).map(Moment::At) }
}

impl EverythingBefore {
    fn run(self) -> Result<(), CliError> {
        let Self { before, yes, output, settings } = self;
        let config = settings.config()?;
        let now = SystemClock.now();
        let before = match before {
            // Includes tokens issued in the current second.
            Moment::Now => next_second(now),
            Moment::At(before) => before,
        };
        if before.seconds() < 0 {
            return Err(CliError::usage("the instant must not be before 1970"));
        }
        if before.seconds() > now.seconds().saturating_add(FURTHEST_AHEAD) {
            return Err(CliError::usage("the instant must not lie more than a minute ahead"));
        }
        if !yes {
            confirm(&format!(
                "Reject all tokens issued before {before}, and end all sessions that began before it? This cannot be undone."
            ))?;
        }
        let record = with_store(&config, async |store| {
            revoke_everything(store, &config.settings.keys.schedule, before, now).await
        })?;
        report(&output, &record, before)
    }
}

fn report(output: &Output, record: &RevocationRecord, requested: UnixTime) -> Result<(), CliError> {
    let revocation = &record.revocation;
    let before = match &revocation.target {
        RevocationTarget::Everything(before) => *before,
        _ => requested,
    };
    if output.is_json() {
        return print_json(&json!({
            "issued_before_time": before.to_string(),
            "revoke_time": revocation.revoke_time.to_string(),
            "expire_time": revocation.expire_time.map(|end| end.to_string()),
        }));
    }
    report_text(record, requested);
    Ok(())
}

/// Writes what was revoked to stderr.
pub(super) fn report_text(record: &RevocationRecord, requested: UnixTime) {
    let revocation = &record.revocation;
    let before = match &revocation.target {
        RevocationTarget::Everything(before) => *before,
        _ => requested,
    };
    if before > requested {
        message(&format!("everything before {before}, which is later, was already revoked"));
    }
    message(&format!(
        "tokens issued before {before} are rejected, and sessions that began before it have ended"
    ));
    message("running servers follow within a second, others when they start");
    let until = match revocation.expire_time {
        Some(end) => format!("until {end}, when the last of the tokens has expired"),
        None => "forever, because the lifetime of the tokens of one key is unknown".to_owned(),
    };
    message(&format!("the revocation is stored {until}"));
}

//! `tokend revoke`: what is revoked on the store itself.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    config,
    confirm::confirm,
    failure::Failure,
    output::{Output, plain, print_json, talk},
    setting_flags::SettingFlags,
    time_text::{instant, parse_instant},
};
use crate::{
    clock::{Clock as _, SystemClock},
    config::Config,
    model::{RevocationRecord, RevocationTarget, UnixTime},
    store::{self, StoreError},
    tokens::{FURTHEST_AHEAD, next_second, revoke_everything},
};

#[derive(Subcommand)]
pub(super) enum RevokeCommand {
    /// Refuse every token that was issued before an instant, and end every session that began before it
    EverythingBefore(EverythingBefore),
}

impl RevokeCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::EverythingBefore(command) => command.run(),
        }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend revoke everything-before now --config /etc/tokend/tokend.toml
  tokend revoke everything-before 2030-01-31T12:00:00Z --yes --config /etc/tokend/tokend.toml

For the time after a backup was restored: what was revoked since it was made is forgotten, and those tokens and sessions
are good again. With `now` all of them are refused; whoever had one asks for another, and people log in anew.

Takes the settings of `tokend serve`, and works on the store itself. Servers may be stopped, so that nothing is accepted
in between, or run: then they follow within a second. Tokens of imported keys of other issuers stay good.")]
pub(super) struct EverythingBefore {
    /// RFC 3339 (2030-01-31T12:00:00Z), seconds since 1970, or `now`
    #[arg(value_name = "INSTANT", value_parser = moment)]
    before: Moment,
    /// Do not ask
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
    fn run(self) -> Result<(), Failure> {
        let Self { before, yes, output, settings } = self;
        let config = settings.resolve().config().map_err(|problems| config::refused(&problems))?;
        let now = SystemClock.now();
        let before = match before {
            // What was issued within this very second too.
            Moment::Now => next_second(now),
            Moment::At(before) => before,
        };
        if before.seconds() < 0 {
            return Err(Failure::usage("the instant must not be before 1970"));
        }
        if before.seconds() > now.seconds().saturating_add(FURTHEST_AHEAD) {
            return Err(Failure::usage("the instant must not lie more than a minute ahead"));
        }
        if !yes {
            confirm(&format!(
                "Refuse every token issued before {}, and end every session begun before it? There is no way back.",
                instant(before)
            ))?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let record = runtime.block_on(revoke(&config, before, now))?;
        tell(&output, &record, before)
    }
}

fn tell(output: &Output, record: &RevocationRecord, asked: UnixTime) -> Result<(), Failure> {
    let revocation = &record.revocation;
    let before = match &revocation.target {
        RevocationTarget::Everything(before) => *before,
        _ => asked,
    };
    if output.is_json() {
        return print_json(&json!({
            "issued_before_time": instant(before),
            "revoke_time": instant(revocation.revoke_time),
            "expire_time": revocation.expire_time.map(instant),
        }));
    }
    if before > asked {
        talk(&format!("everything before {} was revoked already, which is later", instant(before)));
    }
    talk(&format!(
        "tokens issued before {0} are refused, and sessions begun before it have ended",
        instant(before)
    ));
    talk("servers that run follow within a second, others when they start");
    let until = match revocation.expire_time {
        Some(end) => format!("until {}, when the last of the tokens has expired", instant(end)),
        None => "for ever, for nobody knows how long the tokens of one of the keys live".to_owned(),
    };
    talk(&format!("it is remembered {until}"));
    Ok(())
}

async fn revoke(config: &Config, before: UnixTime, now: UnixTime) -> Result<RevocationRecord, Failure> {
    let store = store::open(&config.store)
        .await
        .map_err(|error| Failure::refused(format!("setting `store`: {error}")))?;
    let revoked = revoke_everything(&store, &config.schedule, before, now).await;
    store.close().await;
    revoked.map_err(|error: StoreError| Failure::refused(plain(&error.to_string())))
}

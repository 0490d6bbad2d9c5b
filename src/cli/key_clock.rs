//! `tokend key accept-clock`: an operator says that the clock is right.

use clap::Args;

use super::{
    config,
    confirm::confirm,
    failure::Failure,
    output::{plain, talk},
    setting_flags::SettingFlags,
    time_text::instant,
};
use crate::{
    clock::{Clock as _, SystemClock},
    config::Config,
    model::UnixTime,
    store,
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend key accept-clock --config /etc/tokend/tokend.toml

A server that doubts its clock rotates no keys and deletes nothing that has expired; its log says why. Correct the clock
first. If it is right, and the other clocks are wrong, accept it: servers whose clocks say the same time, or up to ten minutes
more, go on within seconds. Takes the settings of `tokend serve`, and works on the store itself.")]
pub(super) struct AcceptClock {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

impl AcceptClock {
    pub(super) fn run(self) -> Result<(), Failure> {
        let config = self.settings.resolve().config().map_err(|problems| config::refused(&problems))?;
        let now = SystemClock.now();
        if !self.yes {
            let now = instant(now);
            confirm(&format!(
                "Is it {now} now? If that is wrong, keys rotate too early and good tokens are refused."
            ))?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(accept(&config, now))?;
        talk(&format!("accepted: it is {}", instant(now)));
        Ok(())
    }
}

async fn accept(config: &Config, now: UnixTime) -> Result<(), Failure> {
    let failed = |error: String| Failure::refused(format!("setting `store`: {}", plain(&error)));
    let store = store::open(&config.store).await.map_err(|error| failed(error.to_string()))?;
    let accepted = store.mark_clock(now, true).await;
    store.close().await;
    accepted.map_err(|error| failed(error.to_string()))
}

//! Look-ups in the store for keys that are not in memory: one at a time, in a task that no caller can cancel.

use std::{mem, sync::Arc};

use tokio::time::{Instant, sleep_until, timeout};

use super::KeyRing;

/// The limit of calls that wait for a look-up, because each holds its request in memory.
pub(super) const WAITING: usize = 1024;

/// The look-ups, which are numbered from 1. One runs at a time, so only the last one that began may still run.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    /// The last look-up that began.
    begun: u64,
    /// The last look-up that a call waits for.
    wanted: u64,
    /// The last look-up that ended, and why it failed if it did.
    ended: u64,
    failure: Option<String>,
    /// The number of look-ups that failed.
    failed: u64,
    /// Whether the task that runs look-ups exists.
    running: bool,
}

/// Figures about look-ups, for the metrics.
pub(crate) struct LookupCounts {
    /// Calls that wait for a look-up.
    pub(crate) waiting: usize,
    /// Look-ups that read the store.
    pub(crate) succeeded: u64,
    /// Look-ups that failed.
    pub(crate) failed: u64,
}

impl KeyRing {
    /// Figures about look-ups, for the metrics.
    pub(crate) fn lookups(&self) -> LookupCounts {
        let Lookups { ended, failed, .. } = *self.lookups.borrow();
        let waiting = WAITING.saturating_sub(self.waiting.available_permits());
        LookupCounts { waiting, succeeded: ended.saturating_sub(failed), failed }
    }

    /// Waits for a look-up that begins after this call: a key that is not in memory then is not in the store either. Invented key ids
    /// cost the store at most one read in each [`KeySettings::lookup_interval`](super::KeySettings), however many calls wait.
    ///
    /// # Errors
    /// When the store cannot be read within [`KeySettings::lookup_wait`](super::KeySettings).
    pub(crate) async fn look_up(self: &Arc<Self>) -> Result<(), String> {
        let _permit = self.waiting.try_acquire().map_err(|_| "too many calls wait for the store")?;
        let mut lookups = self.lookups.subscribe();
        let wanted = self.want_lookup();
        let wait = self.settings().lookup_wait;
        let failure = match timeout(wait, lookups.wait_for(|lookups| lookups.ended >= wanted)).await {
            Ok(Ok(lookups)) => lookups.failure.clone(),
            Ok(Err(closed)) => Some(closed.to_string()),
            Err(_) => Some(format!("no answer within {} ms", wait.as_millis())),
        };
        failure.map_or(Ok(()), Err)
    }

    /// Orders the next look-up to begin. Returns its number.
    fn want_lookup(self: &Arc<Self>) -> u64 {
        let (mut wanted, mut running) = (0, false);
        self.change_lookups(|lookups| {
            wanted = lookups.begun.saturating_add(1);
            lookups.wanted = wanted;
            running = mem::replace(&mut lookups.running, true);
        });
        if !running {
            tokio::spawn(Arc::clone(self).run_lookups());
        }
        wanted
    }

    /// Runs look-ups until no call waits for another.
    async fn run_lookups(self: Arc<Self>) {
        let mut running = true;
        while running {
            let next = Instant::now() + self.settings().lookup_interval;
            self.change_lookups(|lookups| lookups.begun = lookups.begun.saturating_add(1));
            let ring = Arc::clone(&self);
            // In a task of its own, so that a panic is a failure like any other and ends no look-up but this one.
            let failure = match tokio::spawn(async move { ring.refresh().await }).await {
                Ok(refreshed) => refreshed.err().map(|error| error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            self.lookups.send_modify(|lookups| {
                lookups.ended = lookups.begun;
                lookups.failed += u64::from(failure.is_some());
                lookups.failure = failure;
            });
            sleep_until(next).await;
            self.change_lookups(|lookups| {
                running = lookups.wanted > lookups.begun;
                lookups.running = running;
            });
        }
    }

    /// Changes what no call waits for, and so wakes none.
    fn change_lookups(&self, change: impl FnOnce(&mut Lookups)) {
        self.lookups.send_if_modified(|lookups| {
            change(lookups);
            false
        });
    }
}

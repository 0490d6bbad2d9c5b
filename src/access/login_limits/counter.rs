//! Failures that are counted, and the wait that follows from them.

use std::time::Duration;

use crate::model::UnixTime;

/// How failures become a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// How many may fail without one.
    pub free: u32,
    /// The first wait is a second, each further one is twice the one before, and none is longer than this.
    pub longest: Duration,
    /// How long it takes for one failure to be forgotten. Whole seconds, at least one.
    pub forget: Duration,
}

/// The failures of one name, or of one source.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counter {
    failures: u32,
    /// The instant as of which failures were forgotten.
    as_of: Option<UnixTime>,
    /// The next may be tried from here on.
    until: Option<UnixTime>,
}

impl Counter {
    /// How long the next must wait.
    pub(super) fn wait(&mut self, backoff: Backoff, now: UnixTime) -> Option<Duration> {
        self.forget(backoff, now);
        let until = self.until.filter(|until| *until > now && self.failures >= backoff.free)?;
        // A clock that was set back makes no wait longer than the longest.
        Some(until.since(now).min(backoff.longest))
    }

    /// Counts one that is tried.
    pub(super) fn count(&mut self, backoff: Backoff, now: UnixTime) {
        self.forget(backoff, now);
        self.failures = self.failures.saturating_add(1);
        let beyond = self.failures.checked_sub(backoff.free);
        let wait = beyond.map(|beyond| {
            let doubled = Duration::from_secs(1_u64.checked_shl(beyond).unwrap_or(u64::MAX));
            doubled.min(backoff.longest)
        });
        self.until = wait.map(|wait| now.after(wait));
    }

    /// Counts it no more.
    pub(super) const fn take_back(&mut self) {
        self.failures = self.failures.saturating_sub(1);
        self.until = None;
    }

    fn forget(&mut self, backoff: Backoff, now: UnixTime) {
        let each = backoff.forget.as_secs().max(1);
        let as_of = self.as_of.unwrap_or(now).min(now);
        let forgotten = now.since(as_of).as_secs() / each;
        self.failures = self.failures.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX));
        let rest = now.since(as_of).as_secs() % each;
        self.as_of = Some(now.minus(Duration::from_secs(rest)));
    }
}

//! Exponential backoff after failed logins.

use std::time::Duration;

use crate::model::UnixTime;

/// The parameters of a backoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The number of failures without a wait.
    pub free: u32,
    /// The longest wait. The first one is a second, and each further one is twice the one before.
    pub longest: Duration,
    /// The time after which one failure is forgotten. Whole seconds, at least one.
    pub forget: Duration,
}

/// The recent failures of one key.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FailureCounter {
    failures: u32,
    /// The instant up to which failures were forgotten.
    as_of: Option<UnixTime>,
    /// The earliest instant of the next attempt.
    until: Option<UnixTime>,
}

impl FailureCounter {
    /// The wait before the next attempt.
    pub(super) fn wait(&mut self, backoff: Backoff, now: UnixTime) -> Option<Duration> {
        self.forget(backoff, now);
        let until = self.until.filter(|until| *until > now && self.failures >= backoff.free)?;
        // A clock that was set back makes no wait longer than the longest.
        Some(until.since(now).min(backoff.longest))
    }

    pub(super) fn count(&mut self, backoff: Backoff, now: UnixTime) {
        self.forget(backoff, now);
        self.failures = self.failures.saturating_add(1);
        self.until = self.failures.checked_sub(backoff.free).map(|excess| {
            let doubled = Duration::from_secs(1_u64.checked_shl(excess).unwrap_or(u64::MAX));
            now.after(doubled.min(backoff.longest))
        });
    }

    /// Reverts one counted failure.
    pub(super) const fn uncount(&mut self) {
        self.failures = self.failures.saturating_sub(1);
        self.until = None;
    }

    fn forget(&mut self, backoff: Backoff, now: UnixTime) {
        let period = backoff.forget.as_secs().max(1);
        let elapsed = now.since(self.as_of.unwrap_or(now).min(now)).as_secs();
        let forgotten = u32::try_from(elapsed / period).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_sub(forgotten);
        self.as_of = Some(now.minus(Duration::from_secs(elapsed % period)));
    }
}

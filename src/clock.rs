//! Time as a parameter: whatever needs the time is given a [`Clock`].

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::UnixTime;

/// Where the time comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present instant, cut off to whole seconds.
    fn now(&self) -> UnixTime;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> UnixTime {
        // A clock before 1970 reads as 1970: every token is then "not yet valid", which fails closed.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime::from_seconds(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX))
    }
}

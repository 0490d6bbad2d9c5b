//! Time as a parameter: code that needs the time takes a [`Clock`].

use std::{
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::model::UnixTime;

/// A source of time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current time, truncated to seconds.
    fn now(&self) -> UnixTime;

    /// The time of a monotonic clock, in seconds. Compare it only with other values of this method.
    fn steady(&self) -> UnixTime {
        UnixTime::from_seconds(i64::try_from(self.monotonic().as_secs()).unwrap_or(i64::MAX))
    }

    /// The time since boot, including suspend, for comparison with [`Self::now`].
    fn boot(&self) -> Duration {
        self.monotonic()
    }

    /// The time since an unspecified instant; it never decreases. For rates.
    fn monotonic(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.now().seconds()).unwrap_or_default())
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> UnixTime {
        // A time before 1970 counts as 1970. Every token is then "not yet valid", which fails closed.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime::from_seconds(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX))
    }

    #[cfg(target_os = "linux")]
    fn boot(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let part = |value: i64| u64::try_from(value).unwrap_or_default();
        Duration::from_secs(part(time.tv_sec)).saturating_add(Duration::from_nanos(part(time.tv_nsec)))
    }

    fn monotonic(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }
}

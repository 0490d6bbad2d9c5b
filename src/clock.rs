//! Time as a parameter: whatever needs the time is given a [`Clock`].

use std::{
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::model::UnixTime;

/// Where the time comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present instant, cut off to whole seconds.
    fn now(&self) -> UnixTime;

    /// An instant of a clock that never goes back, in whole seconds: for what lasts a while. It is to be compared with its own
    /// kind alone.
    fn steady(&self) -> UnixTime {
        UnixTime::from_seconds(i64::try_from(self.monotonic().as_secs()).unwrap_or(i64::MAX))
    }

    /// The time since the machine was booted, its sleep included: for comparison with [`Self::now`].
    fn boot(&self) -> Duration {
        self.monotonic()
    }

    /// The time since some instant, which never goes back: for rates. A clock that is moved by hand need only say its
    /// seconds.
    fn monotonic(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.now().seconds()).unwrap_or_default())
    }
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

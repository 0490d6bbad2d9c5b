//! Time as a parameter, so that tests can move it.

use std::{
    fmt,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokend_jose::UnixTime;

/// A source of time. [`SystemClock`] is the default; tests can pass one that they move.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The current time, truncated to seconds. The times of tokens are compared with it.
    fn now(&self) -> UnixTime;

    /// The time since an unspecified instant. It never decreases. Ages and delays are measured with it.
    fn monotonic(&self) -> Duration;
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

    fn monotonic(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }
}

//! Times and lifetimes in whole seconds, as in a JWT.

use std::{
    fmt,
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00Z without leap seconds: a NumericDate (RFC 7519 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(i64);

impl UnixTime {
    /// 9999-12-31T23:59:59Z, the last time of a `google.protobuf.Timestamp`.
    pub const MAX: Self = Self(253_402_300_799);

    /// The time `seconds` after the epoch, at most [`Self::MAX`]: a later time could be neither formatted nor sent.
    pub const fn from_seconds(seconds: i64) -> Self {
        if seconds > Self::MAX.0 { Self::MAX } else { Self(seconds) }
    }

    /// Seconds since the epoch.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The time `ttl` later, at most [`Self::MAX`].
    pub fn plus(self, ttl: Ttl) -> Self {
        Self(self.0.saturating_add_unsigned(ttl.0)).min(Self::MAX)
    }

    /// The time `duration` later, at most [`Self::MAX`]; fractions of a second of `duration` are truncated.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(duration.as_secs())).min(Self::MAX)
    }

    /// The time `duration` earlier; fractions of a second of `duration` are truncated.
    pub const fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(duration.as_secs()))
    }

    /// The duration from `earlier` to this time; zero if it is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        let seconds = self.0.saturating_sub(earlier.0);
        if seconds < 0 { Duration::ZERO } else { Duration::from_secs(seconds.unsigned_abs()) }
    }
}

impl fmt::Display for UnixTime {
    /// RFC 3339 in UTC, or seconds since 1970 if the time has no such form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u64::try_from(self.0) {
            Ok(seconds) if *self <= Self::MAX => {
                humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).fmt(f)
            }
            _ => write!(f, "{} seconds since 1970", self.0),
        }
    }
}

/// A lifetime: whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Ttl(u64);

impl Ttl {
    /// A lifetime of `seconds`; none for zero.
    pub const fn from_seconds(seconds: u64) -> Option<Self> {
        if seconds == 0 { None } else { Some(Self(seconds)) }
    }

    /// A lifetime of `minutes`, for constants; zero counts as one.
    pub const fn from_minutes(minutes: u64) -> Self {
        Self(if minutes == 0 { 60 } else { minutes * 60 })
    }

    /// Its length in seconds.
    pub const fn seconds(self) -> u64 {
        self.0
    }
}

impl From<Ttl> for Duration {
    fn from(ttl: Ttl) -> Self {
        Self::from_secs(ttl.0)
    }
}

impl From<Ttl> for u64 {
    fn from(ttl: Ttl) -> Self {
        ttl.0
    }
}

impl TryFrom<u64> for Ttl {
    type Error = &'static str;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        Self::from_seconds(seconds).ok_or("a life must last at least one second")
    }
}

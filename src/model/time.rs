//! Times and lifetimes in whole seconds.

use super::UnixTime;

/// The times that the store knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreClock {
    /// The latest time of a replica with a trusted clock.
    pub mark: Option<UnixTime>,
    /// The time at which an operator accepted the clock.
    pub accepted: Option<UnixTime>,
    /// The time of the database's clock; `None` for SQLite.
    pub now: Option<UnixTime>,
}

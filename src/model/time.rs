//! What the store knows of the time.

use super::UnixTime;

/// What the store knows of the time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreClock {
    /// The latest time that a replica with a trusted clock has told it.
    pub mark: Option<UnixTime>,
    /// When an operator accepted the clock, by that clock.
    pub accepted: Option<UnixTime>,
    /// What the database's own clock says, if the database runs elsewhere.
    pub now: Option<UnixTime>,
}

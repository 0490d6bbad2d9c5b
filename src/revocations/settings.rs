//! What steers the view.

use std::time::Duration;

/// What steers the view of the revocations.
#[derive(Debug, Clone, Copy)]
pub struct RevocationSettings {
    /// How old the view may be before nobody is told any more that a token is good.
    pub staleness_bound: Duration,
    /// Whether tokens are verified even so.
    pub serve_stale: bool,
}

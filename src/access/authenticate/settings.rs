//! What steers authentication.

use std::{num::NonZeroU32, time::Duration};

/// What steers authentication.
#[derive(Debug, Clone)]
pub struct CallerSettings {
    /// Who is meant by `aud` of an assertion: this server's issuer.
    pub issuer: String,
    /// The longest token that is looked at, in bytes.
    pub max_token_bytes: usize,
    /// How far ahead `exp` of an assertion may be.
    pub assertion_max_ttl: Duration,
    /// By how much the clocks of callers and issuers may differ from this server's. Whole seconds.
    pub leeway: Duration,
    /// How many failures a minute are borne of one address that names one client; five times as many are of one address
    /// in all, and of one client in all.
    pub failures_per_minute: NonZeroU32,
}

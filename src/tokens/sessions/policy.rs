//! What steers sessions.

use std::time::Duration;

/// What steers sessions. Whole seconds.
#[derive(Debug, Clone, Copy)]
pub struct SessionPolicy {
    /// How long a refresh token may lie unused.
    pub idle_ttl: Duration,
    /// How long a session lasts, however often it is refreshed.
    pub max_ttl: Duration,
    /// How long a refresh token that was used is still answered with its successor.
    pub reuse_window: Duration,
}

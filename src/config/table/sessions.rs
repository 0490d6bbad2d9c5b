//! Sessions, and what is revoked.

use super::setting::{Kind, Setting, period, seconds, setting};

pub(in crate::config) const SETTINGS: &[Setting] = &[
    period("session_idle_ttl", "7d", "How long a refresh token may lie unused before its session ends"),
    period("session_max_ttl", "30d", "How long a session lasts at the most, however often it is refreshed"),
    seconds(
        "refresh_reuse_window",
        "5s",
        60,
        "How long a refresh token that was used is still answered with its successor, for answers that were lost; 0s: not without the same request_id",
    ),
    setting(
        "staleness_bound",
        Kind::Seconds(5, 86_400),
        "DURATION",
        Some("5m"),
        "How long the store may be out of reach before tokens are no longer said to be good (STATE_STALE), as they may be revoked",
    ),
    setting(
        "serve_stale",
        Kind::Bool,
        "BOOL",
        Some("false"),
        "Whether tokens are said to be good even after `staleness_bound`",
    ),
];

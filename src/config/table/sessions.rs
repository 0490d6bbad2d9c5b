//! Sessions, and what is revoked.

use super::setting::{Kind, Setting, period, seconds, setting};

pub(in crate::config) const SETTINGS: &[Setting] = &[
    period("session_idle_ttl", "7d", "How long a refresh token may be unused before its session ends"),
    period("session_max_ttl", "30d", "The longest duration of a session, however often it is refreshed"),
    seconds(
        "refresh_reuse_window",
        "5s",
        60,
        "How long a used refresh token still returns its successor, for lost responses; 0s: only with the same request_id",
    ),
    setting(
        "staleness_bound",
        Kind::Seconds(5, 86_400),
        "DURATION",
        Some("5m"),
        "How long the store may be unreachable before verification fails (STATE_STALE), because tokens may be revoked",
    ),
    setting(
        "serve_stale",
        Kind::Bool,
        "BOOL",
        Some("false"),
        "Whether verification continues even after `staleness_bound`",
    ),
];

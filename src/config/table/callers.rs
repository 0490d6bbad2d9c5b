//! How callers prove who they are.

use super::setting::{Kind, Setting, number, seconds, setting};

pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "client_jwks_dir",
        Kind::Path,
        "FOLDER",
        None,
        "A folder with JWK sets of clients that sign assertions, for those that are registered with a file's name; read again when a file changes",
    ),
    setting(
        "assertion_max_ttl",
        Kind::Seconds(1, 3600),
        "DURATION",
        Some("5m"),
        "How far ahead a client may set the end of an assertion (`exp`)",
    ),
    seconds(
        "caller_leeway",
        "10s",
        300,
        "By how much the clocks of clients and of trusted issuers may differ, when their tokens' times are compared",
    ),
    setting(
        "trusted_issuers_file",
        Kind::Path,
        "FILE",
        None,
        "Other issuers whose tokens may stand for clients: a TOML file with a table `[[issuer]]` for each",
    ),
    setting(
        "issuer_refresh_interval",
        Kind::Seconds(10, 86_400),
        "DURATION",
        Some("5m"),
        "How often the keys of trusted issuers are fetched",
    ),
    setting(
        "issuer_keys_max_age",
        Kind::Seconds(60, 604_800),
        "DURATION",
        Some("24h"),
        "How long the keys of a trusted issuer are used when they cannot be fetched any more",
    ),
    number(
        "max_failed_callers",
        "60",
        (1, 1_000_000),
        "Failed authentications a minute of one address that names one client; five times as many of one address, or in one client's name. A secret or certificate that is good passes all the same",
    ),
];

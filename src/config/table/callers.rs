//! How callers prove who they are.

use super::setting::{Kind, Setting, number, seconds, setting};

pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "client_jwks_dir",
        Kind::Path,
        "FOLDER",
        None,
        "A folder with JWK sets of clients that sign assertions and are registered with a file name; a file is read again when it changes",
    ),
    setting(
        "assertion_max_ttl",
        Kind::Seconds(1, 3600),
        "DURATION",
        Some("5m"),
        "How far in the future the `exp` of an assertion may be",
    ),
    seconds(
        "caller_leeway",
        "10s",
        300,
        "Allowed clock difference of clients and trusted issuers, when the times of their tokens are compared",
    ),
    setting(
        "trusted_issuers_file",
        Kind::Path,
        "FILE",
        None,
        "Other issuers whose tokens may authenticate clients: a TOML file with a table `[[issuer]]` for each",
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
        "How long the keys of a trusted issuer stay in use when they cannot be fetched",
    ),
    number(
        "max_failed_callers",
        "60",
        (1, 1_000_000),
        "Failed authentications per minute of one address that names one client; five times as many for one address, or for one client's name. A valid secret or certificate is accepted all the same",
    ),
];

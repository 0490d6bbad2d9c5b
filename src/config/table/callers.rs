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
    seconds(
        "assertion_max_ttl",
        "5m",
        3600,
        "How far ahead a client may set the end of an assertion (`exp`)",
    ),
    seconds(
        "caller_leeway",
        "10s",
        300,
        "By how much the clocks of clients and of trusted issuers may differ, when their tokens' times are compared",
    ),
    number(
        "max_failed_callers",
        "60",
        (1, 1_000_000),
        "Failed authentications a minute of one address that names one client; five times as many of one address, or in one client's name. A secret or certificate that is good passes all the same",
    ),
];

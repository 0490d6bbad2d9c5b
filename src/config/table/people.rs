//! How people log in.

use super::setting::{Kind, Setting, number, seconds, setting};

pub(in crate::config) const SETTINGS: &[Setting] = &[
    number(
        "password_memory",
        "19456",
        (8192, 131_072),
        "Memory for hashing one password, in KiB; a hash with less is computed again at the next login",
    ),
    number(
        "password_passes",
        "2",
        (1, 10),
        "Passes of hashing a password through its memory; a hash with fewer is computed again at the next login",
    ),
    setting(
        "login_parallelism",
        Kind::Number(1, 1024),
        "NUMBER",
        None,
        "Passwords that are hashed at the same time, each on its own core (default: half of the cores)",
    ),
    number(
        "login_queue",
        "64",
        (0, 100_000),
        "Logins that may wait for password hashing; further ones fail with RATE_LIMITED",
    ),
    number(
        "login_free_failures",
        "10",
        (1, 1000),
        "Failed logins with one name from one source before the next must wait; one is forgotten each minute",
    ),
    seconds(
        "login_longest_wait",
        "60s",
        3600,
        "The longest wait of a login after failures; the first wait is 1s, each further one twice as long; 0s: no waits",
    ),
];

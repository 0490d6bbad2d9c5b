//! How people log in.

use super::setting::{Kind, Setting, number, seconds, setting};

pub(in crate::config) const SETTINGS: &[Setting] = &[
    number(
        "password_memory",
        "19456",
        (8192, 131_072),
        "Memory that hashing one password takes, in KiB; hashes that took less are made anew at the next login",
    ),
    number(
        "password_passes",
        "2",
        (1, 10),
        "Passes that hashing a password makes through its memory; hashes that took fewer are made anew at the next login",
    ),
    setting(
        "login_parallelism",
        Kind::Number(1, 1024),
        "NUMBER",
        None,
        "Passwords that are hashed at once, each on a core of its own (default: half of the cores)",
    ),
    number(
        "login_queue",
        "64",
        (0, 100_000),
        "Logins that may wait for others' passwords to be hashed; further ones are refused with RATE_LIMITED",
    ),
    number(
        "login_free_failures",
        "10",
        (1, 1000),
        "Logins with one name that may fail from one source before the next has to wait; one is forgotten each minute",
    ),
    seconds(
        "login_longest_wait",
        "60s",
        3600,
        "The longest that a login has to wait after failures; the first wait is 1s, each further one twice as long; 0s: no waits",
    ),
];

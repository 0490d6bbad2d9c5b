//! The settings of logins.

use std::{num::NonZeroUsize, time::Duration};

use super::reader::Reader;
use crate::{
    access::{Backoff, HashCost, HashingSettings, LoginLimitSettings},
    server::PeopleSettings,
};

/// A name, wherever it is guessed from: five times as many failures as from one source, and waits of half a minute.
const NAME_FACTOR: u32 = 5;
const LONGEST_NAME_WAIT: Duration = Duration::from_secs(30);

/// A source, whatever names it tries: often it is the service that has the login form, with all its users behind it.
const SOURCE: Backoff =
    Backoff { free: 1000, longest: Duration::from_secs(5), forget: Duration::from_secs(1) };

/// How long it takes for one failure of a name to be forgotten.
const FORGET: Duration = Duration::from_secs(60);

/// Names and sources that are remembered: some 10 MB at the most.
const REMEMBERED: usize = 20_000;

/// How people log in.
pub(super) fn people(reader: &mut Reader<'_>) -> PeopleSettings {
    let parallelism = match reader.is_given("login_parallelism") {
        true => reader.number("login_parallelism"),
        // The other half is for whoever verifies tokens.
        false => std::thread::available_parallelism().map_or(1, NonZeroUsize::get) / 2,
    };
    let free = reader.number("login_free_failures");
    let longest = reader.duration("login_longest_wait");
    PeopleSettings {
        hashing: HashingSettings {
            cost: HashCost {
                memory: reader.number("password_memory"),
                passes: reader.number("password_passes"),
            },
            parallelism: parallelism.max(1),
            queue: reader.number("login_queue"),
        },
        limits: LoginLimitSettings {
            name_at_source: Backoff { free, longest, forget: FORGET },
            name: Backoff {
                free: free.saturating_mul(NAME_FACTOR),
                longest: longest.min(LONGEST_NAME_WAIT),
                forget: FORGET,
            },
            source: SOURCE,
            remembered: REMEMBERED,
        },
    }
}

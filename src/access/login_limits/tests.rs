#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use super::*;
use crate::model::UnixTime;

#[derive(Debug, Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(self.0.load(SeqCst))
    }
}

const SECOND: Duration = Duration::from_secs(1);

struct Door {
    limits: LoginLimits,
    clock: Arc<TestClock>,
}

impl Door {
    /// 3 free failures of a name at a source, 6 of a name, 10 of a source; waits of at most 8, 4 and 2 seconds.
    fn new() -> Self {
        let backoff =
            |free, longest, forget| Backoff { free, longest: SECOND * longest, forget: SECOND * forget };
        let settings = LoginLimitSettings {
            name_at_source: backoff(3, 8, 60),
            name: backoff(6, 4, 60),
            source: backoff(10, 2, 60),
            remembered: 100,
        };
        let clock = Arc::new(TestClock::default());
        clock.0.store(1_000_000, SeqCst);
        let limits = LoginLimits::new(settings, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        Self { limits, clock }
    }

    fn begin(&self, name: &str, source: &str) -> Result<Attempt<'_>, TooManyFailures> {
        self.limits.begin(&Username::parse(name).unwrap(), source.parse().ok())
    }

    /// Tries a wrong password; how long to wait, when it was not tried.
    fn guess(&self, name: &str, source: &str) -> Option<u64> {
        match self.begin(name, source) {
            Ok(attempt) => attempt.failed().map(|limited| limited.retry_after.as_secs()),
            Err(limited) => Some(limited.retry_after.as_secs()),
        }
    }

    fn log_in(&self, name: &str, source: &str) -> bool {
        self.begin(name, source).map(Attempt::succeeded).is_ok()
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, SeqCst);
    }
}

#[test]
fn waits_double_up_to_a_bound_and_knocking_makes_none_longer() {
    let door = Door::new();
    for _ in 0..3 {
        assert_eq!(door.guess("alice", "10.0.0.1"), None);
    }
    for wait in [1, 2, 4, 8, 8] {
        for _ in 0..50 {
            assert_eq!(door.guess("alice", "10.0.0.1"), Some(wait));
        }
        door.pass(i64::try_from(wait).unwrap());
        assert_eq!(door.guess("alice", "10.0.0.1"), None, "one may be tried after {wait} s");
    }
    // The same name from elsewhere, and another name from there.
    assert!(door.log_in("bob", "10.0.0.1"));
}

#[test]
fn a_success_wipes_the_slate_of_that_name_there() {
    let door = Door::new();
    for _ in 0..10 {
        for _ in 0..2 {
            assert_eq!(door.guess("alice", "10.0.0.1"), None);
        }
        assert!(door.log_in("alice", "10.0.0.1"));
        door.pass(120);
    }
}

#[test]
fn an_own_account_is_no_way_to_guess_on() {
    let door = Door::new();
    let mut tried = 0;
    for number in 0..100 {
        tried += u32::from(door.guess(&format!("user-{number}"), "10.0.0.1").is_none());
        door.log_in("mallory", "10.0.0.1");
    }
    assert_eq!(tried, 10);
}

#[test]
fn guessing_from_many_places_is_slowed_and_shuts_nobody_out_where_they_belong() {
    let door = Door::new();
    assert!(door.log_in("alice", "10.0.0.1"));
    let mut tried = 0;
    for number in 0..200 {
        tried += u32::from(door.guess("alice", &format!("10.9.0.{number}")).is_none());
    }
    assert_eq!(tried, 6);
    assert!(door.log_in("alice", "10.0.0.1"), "she has been here before");
    assert!(!door.log_in("alice", "10.0.0.2"), "nobody knows who this is");
    // Wrong passwords from her place are limited there, and are told nothing that others are not.
    assert_eq!(door.guess("alice", "10.0.0.1"), Some(1));
    // When the attack ends, so does the wait.
    door.pass(4);
    assert!(door.log_in("alice", "10.0.0.2"));
}

#[test]
fn spraying_names_through_one_gateway_leaves_its_users_in() {
    let door = Door::new();
    assert!(door.log_in("alice", "10.0.0.1"));
    for number in 0..1000 {
        door.guess(&format!("user-{number}"), "10.0.0.1");
    }
    assert!(door.guess("bob", "10.0.0.1").is_some(), "the source is limited");
    assert!(door.log_in("alice", "10.0.0.1"));
    door.pass(2);
    assert!(door.log_in("bob", "10.0.0.1"));
}

#[test]
fn many_at_once_count_before_they_end() {
    let door = Door::new();
    let mut attempts: Vec<_> = (0..20).map(|_| door.begin("alice", "10.0.0.1")).collect();
    assert_eq!(attempts.iter().filter(|attempt| attempt.is_ok()).count(), 3);
    attempts.iter_mut().flatten().for_each(Attempt::compares);
    drop(attempts);
    assert!(door.begin("alice", "10.0.0.1").is_err(), "and hanging up takes nothing back");
}

#[test]
fn a_caller_that_gives_up_before_the_password_is_compared_counts_nowhere() {
    let door = Door::new();
    for _ in 0..50 {
        drop(door.begin("alice", "10.0.0.1").ok().unwrap());
    }
    assert_eq!(door.guess("alice", "10.0.0.1"), None);
}

#[test]
fn what_came_to_nothing_counts_nowhere() {
    let door = Door::new();
    for _ in 0..50 {
        door.begin("alice", "10.0.0.1").ok().unwrap().came_to_nothing();
    }
    assert_eq!(door.guess("alice", "10.0.0.1"), None);
}

#[test]
fn failures_are_forgotten_one_by_one() {
    let door = Door::new();
    for _ in 0..3 {
        door.guess("alice", "10.0.0.1");
    }
    door.pass(60);
    assert_eq!(door.guess("alice", "10.0.0.1"), None);
    assert_eq!(door.guess("alice", "10.0.0.1"), Some(1));
    door.pass(100_000);
    for _ in 0..3 {
        assert_eq!(door.guess("alice", "10.0.0.1"), None);
    }
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out() {
    let door = Door::new();
    for _ in 0..3 {
        door.guess("alice", "10.0.0.1");
    }
    door.pass(-1_000_000);
    assert!(door.guess("alice", "10.0.0.1").unwrap() <= 8);
}

#[test]
fn a_network_is_one_source_and_memory_is_bounded() {
    let door = Door::new();
    for number in 0..10_000 {
        door.guess("alice", &format!("2001:db8::{number:x}"));
        door.guess(&format!("user-{number}"), &format!("10.{}.{}.1", number / 250, number % 250));
    }
    let state = door.limits.state();
    assert_eq!(
        door.limits.tags(&Username::default(), "2001:db8::1".parse().ok()).source,
        door.limits.tags(&Username::default(), "2001:db8::2".parse().ok()).source
    );
    assert_eq!(
        door.limits.tags(&Username::default(), "::ffff:10.0.0.1".parse().ok()).source,
        door.limits.tags(&Username::default(), "10.0.0.1".parse().ok()).source
    );
    for length in [state.names_at_sources.len(), state.names.len(), state.sources.len(), state.welcome.len()]
    {
        assert!(length <= 200, "{length}");
    }
}

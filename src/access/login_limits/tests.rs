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

struct Fixture {
    limits: LoginLimits,
    clock: Arc<TestClock>,
}

impl Fixture {
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

    fn begin(&self, name: &str, source: &str) -> Result<LoginAttempt<'_>, TooManyFailures> {
        self.limits.begin(&Username::parse(name).unwrap(), source.parse().ok())
    }

    /// Attempts a login with a wrong password; returns the wait if the attempt was rejected.
    fn guess(&self, name: &str, source: &str) -> Option<u64> {
        match self.begin(name, source) {
            Ok(attempt) => attempt.failed().map(|limited| limited.retry_after.as_secs()),
            Err(limited) => Some(limited.retry_after.as_secs()),
        }
    }

    fn log_in(&self, name: &str, source: &str) -> bool {
        self.begin(name, source).map(LoginAttempt::succeeded).is_ok()
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, SeqCst);
    }
}

#[test]
fn a_login_resets_the_failures_of_the_name_at_its_source() {
    let fixture = Fixture::new();
    for _ in 0..10 {
        for _ in 0..2 {
            assert_eq!(fixture.guess("alice", "10.0.0.1"), None);
        }
        assert!(fixture.log_in("alice", "10.0.0.1"));
        fixture.pass(120);
    }
}

#[test]
fn logins_with_one_account_do_not_reset_the_limit_of_the_source() {
    let fixture = Fixture::new();
    let mut tried = 0;
    for number in 0..100 {
        tried += u32::from(fixture.guess(&format!("user-{number}"), "10.0.0.1").is_none());
        fixture.log_in("mallory", "10.0.0.1");
    }
    assert_eq!(tried, 10);
}

#[test]
fn guesses_from_many_sources_are_limited_and_a_known_source_stays_exempt() {
    let fixture = Fixture::new();
    assert!(fixture.log_in("alice", "10.0.0.1"));
    let mut tried = 0;
    for number in 0..200 {
        tried += u32::from(fixture.guess("alice", &format!("10.9.0.{number}")).is_none());
    }
    assert_eq!(tried, 6);
    assert!(fixture.log_in("alice", "10.0.0.1"), "a known source");
    assert!(!fixture.log_in("alice", "10.0.0.2"), "an unknown source");
    // Wrong passwords from the known source are limited too, with the same response as from others.
    assert_eq!(fixture.guess("alice", "10.0.0.1"), Some(1));
    // When the attack ends, so does the wait.
    fixture.pass(4);
    assert!(fixture.log_in("alice", "10.0.0.2"));
}

#[test]
fn guesses_of_many_names_through_one_gateway_leave_known_users_exempt() {
    let fixture = Fixture::new();
    assert!(fixture.log_in("alice", "10.0.0.1"));
    for number in 0..1000 {
        fixture.guess(&format!("user-{number}"), "10.0.0.1");
    }
    assert!(fixture.guess("bob", "10.0.0.1").is_some(), "the source is limited");
    assert!(fixture.log_in("alice", "10.0.0.1"));
    fixture.pass(2);
    assert!(fixture.log_in("bob", "10.0.0.1"));
}

#[test]
fn concurrent_attempts_count_from_their_start() {
    let fixture = Fixture::new();
    let mut attempts: Vec<_> = (0..20).map(|_| fixture.begin("alice", "10.0.0.1")).collect();
    assert_eq!(attempts.iter().filter(|attempt| attempt.is_ok()).count(), 3);
    attempts.iter_mut().flatten().for_each(LoginAttempt::comparing);
    drop(attempts);
    assert!(fixture.begin("alice", "10.0.0.1").is_err(), "a disconnect reverts nothing");
}

#[test]
fn an_attempt_cancelled_or_dropped_before_the_comparison_counts_nowhere() {
    let fixture = Fixture::new();
    for _ in 0..50 {
        drop(fixture.begin("alice", "10.0.0.1").ok().unwrap());
        fixture.begin("alice", "10.0.0.1").ok().unwrap().cancel();
    }
    assert_eq!(fixture.guess("alice", "10.0.0.1"), None);
}

#[test]
fn failures_are_forgotten_one_by_one() {
    let fixture = Fixture::new();
    for _ in 0..3 {
        fixture.guess("alice", "10.0.0.1");
    }
    fixture.pass(60);
    assert_eq!(fixture.guess("alice", "10.0.0.1"), None);
    assert_eq!(fixture.guess("alice", "10.0.0.1"), Some(1));
    fixture.pass(100_000);
    for _ in 0..3 {
        assert_eq!(fixture.guess("alice", "10.0.0.1"), None);
    }
}

#[test]
fn a_clock_that_is_set_back_extends_no_wait() {
    let fixture = Fixture::new();
    for _ in 0..3 {
        fixture.guess("alice", "10.0.0.1");
    }
    fixture.pass(-1_000_000);
    assert!(fixture.guess("alice", "10.0.0.1").unwrap() <= 8);
}

#[test]
fn a_network_is_one_source_and_memory_is_bounded() {
    let fixture = Fixture::new();
    for number in 0..10_000 {
        fixture.guess("alice", &format!("2001:db8::{number:x}"));
        fixture.guess(&format!("user-{number}"), &format!("10.{}.{}.1", number / 250, number % 250));
    }
    let state = fixture.limits.state();
    assert_eq!(
        fixture.limits.keys(&Username::default(), "2001:db8::1".parse().ok()).source,
        fixture.limits.keys(&Username::default(), "2001:db8::2".parse().ok()).source
    );
    assert_eq!(
        fixture.limits.keys(&Username::default(), "::ffff:10.0.0.1".parse().ok()).source,
        fixture.limits.keys(&Username::default(), "10.0.0.1".parse().ok()).source
    );
    let counters = [&state.names_at_sources, &state.names, &state.sources];
    for length in counters.map(|counters| counters.by_key.len()).into_iter().chain([state.exempt.len()]) {
        assert!(length <= 200, "{length}");
    }
}

//! Rate limits of failed authentication, by source address and by named client.
//!
//! No secret can be guessed: the limits bound the cost of attempts, in signature checks and log lines, and never lock a client out. A
//! valid secret or certificate always passes, because its look-up is cheap. A token is rejected before its signature check
//! - if too many attempts failed that came from its address and named its client, or
//! - if too many attempts failed that came from its address, unless its client authenticated from there within the last hour (behind
//!   a proxy, all callers may have one address).
//!
//! Failures from other addresses that name the same client never block its tokens.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::sync::Cache;

use crate::{
    admission::{Rate, TokenBucket},
    model::Source,
};

/// The most buckets in memory. An attacker with more addresses makes tokend forget some.
const MAX_BUCKETS: usize = 20_000;

/// The ratio of the limit of one address, or of one client, to the limit of an address with a client.
const TOTAL_FACTOR: NonZeroU32 = NonZeroU32::new(5).unwrap();

/// How long a successful authentication exempts a client at an address from the limit of the address.
const EXEMPTION: Duration = Duration::from_secs(3600);

/// The first half of the SHA-256 of the name, which may be any text of any length.
type NameDigest = [u8; 16];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Pair(Source, NameDigest),
    Source(Source),
    Name(NameDigest),
}

#[derive(Debug, Default)]
struct Bucket {
    tokens: TokenBucket,
    /// In seconds of the monotonic clock.
    exempt_until: AtomicU64,
}

/// The source and the client name of an attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    source: Option<Source>,
    name: Option<NameDigest>,
}

impl Attempt {
    /// An attempt from `address` that names the client `name`.
    pub(super) fn new(address: Option<IpAddr>, name: Option<&str>) -> Self {
        let short = |name: &str| digest(&SHA256, name.as_bytes()).as_ref().first_chunk().copied();
        Self { source: address.map(Source::of), name: name.and_then(short) }
    }

    fn pair(self) -> Option<Key> {
        Some(Key::Pair(self.source?, self.name?))
    }
}

/// Limits failed attempts. A successful attempt touches it only after a signature check.
#[derive(Debug)]
pub(super) struct FailureLimits {
    pair: Rate,
    total: Rate,
    buckets: Cache<Key, Arc<Bucket>>,
}

impl FailureLimits {
    /// Allows `per_minute` failures of one address with one client, and five times as many of either in total.
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        let total = per_minute.saturating_mul(TOTAL_FACTOR);
        let buckets = Cache::new(MAX_BUCKETS);
        Self { pair: Rate::per_minute(per_minute), total: Rate::per_minute(total), buckets }
    }

    /// Whether the signature of a token may be checked; else the retry delay.
    pub(super) fn check(&self, attempt: Attempt, now: Duration) -> Result<(), Duration> {
        let pair = attempt.pair().and_then(|key| self.buckets.get(&key));
        if let Some(bucket) = &pair {
            bucket.tokens.check(now, self.pair).map_err(whole_seconds)?;
        }
        let is_exempt = pair.is_some_and(|bucket| now.as_secs() < bucket.exempt_until.load(Relaxed));
        let source = attempt.source.filter(|_| !is_exempt);
        match source.and_then(|source| self.buckets.get(&Key::Source(source))) {
            Some(bucket) => bucket.tokens.check(now, self.total).map_err(whole_seconds),
            None => Ok(()),
        }
    }

    /// Counts a failure. Fails with the retry delay if a limit is exceeded.
    pub(super) fn count_failure(&self, attempt: Attempt, now: Duration) -> Result<(), Duration> {
        let keys = [attempt.pair(), attempt.source.map(Key::Source), attempt.name.map(Key::Name)];
        let mut result = Ok(());
        for key in keys.into_iter().flatten() {
            let rate = if matches!(key, Key::Pair(..)) { self.pair } else { self.total };
            if let Err(wait) = self.bucket(key).tokens.take(now, rate) {
                result = Err(whole_seconds(wait));
            }
        }
        result
    }

    /// Exempts the client at this address from the limit of the address.
    pub(super) fn exempt(&self, attempt: Attempt, now: Duration) {
        if let Some(pair) = attempt.pair() {
            self.bucket(pair).exempt_until.store(now.saturating_add(EXEMPTION).as_secs(), Relaxed);
        }
    }

    fn bucket(&self, key: Key) -> Arc<Bucket> {
        let made: Result<_, std::convert::Infallible> =
            self.buckets.get_or_insert_with(&key, || Ok(Arc::default()));
        let Ok(bucket) = made;
        bucket
    }
}

/// Rounds up.
const fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + if wait.subsec_nanos() > 0 { 1 } else { 0 })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    fn limits() -> FailureLimits {
        FailureLimits::new(NonZeroU32::new(10).unwrap())
    }

    fn attempt(address: &str, name: &str) -> Attempt {
        Attempt::new(Some(address.parse().unwrap()), Some(name))
    }

    fn fail(limits: &FailureLimits, attempt: Attempt, times: u32) {
        for _ in 0..times {
            let _ = limits.count_failure(attempt, NOW);
        }
    }

    #[test]
    fn allows_a_burst_of_one_minute_and_recovers_with_time() {
        let limits = limits();
        let bad = attempt("10.0.0.1", "web");
        for _ in 0..10 {
            assert_eq!(limits.check(bad, NOW), Ok(()));
            assert_eq!(limits.count_failure(bad, NOW), Ok(()));
        }
        let six = Duration::from_secs(6);
        assert_eq!(limits.check(bad, NOW), Err(six));
        assert_eq!(limits.count_failure(bad, NOW), Err(six));
        let second = Duration::from_secs(1);
        assert_eq!(limits.check(bad, NOW + six - second), Err(second));
        assert_eq!(limits.check(bad, NOW + six), Ok(()));
    }

    #[test]
    fn failures_from_other_addresses_never_lock_a_client_out() {
        let limits = limits();
        for host in 1..=100 {
            fail(&limits, attempt(&format!("10.0.0.{host}"), "web"), 50);
        }
        assert!(limits.count_failure(attempt("10.1.0.1", "web"), NOW).is_err());
        assert_eq!(limits.check(attempt("10.1.0.2", "web"), NOW), Ok(()));
    }

    #[test]
    fn an_address_is_limited_for_all_names_except_for_clients_that_authenticated() {
        let limits = limits();
        let (good, fresh) = (attempt("10.0.0.1", "good"), attempt("10.0.0.1", "fresh"));
        limits.exempt(good, NOW);
        for number in 0..100 {
            fail(&limits, attempt("10.0.0.1", &format!("name-{number}")), 1);
        }
        assert!(limits.check(fresh, NOW).is_err());
        assert_eq!(limits.check(good, NOW), Ok(()));
        assert_eq!(limits.check(attempt("10.0.0.2", "fresh"), NOW), Ok(()));
        fail(&limits, good, 10);
        assert!(limits.check(good, NOW).is_err(), "its own failures count");
    }

    #[test]
    fn an_ipv6_address_counts_with_its_network() {
        let limits = limits();
        fail(&limits, attempt("2001:db8::1", "web"), 10);
        assert!(limits.check(attempt("2001:db8::ffff:2", "web"), NOW).is_err());
        assert_eq!(limits.check(attempt("2001:db8:0:1::1", "web"), NOW), Ok(()));
        fail(&limits, attempt("::ffff:10.0.0.9", "web"), 10);
        assert!(limits.check(attempt("10.0.0.9", "web"), NOW).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let limits = limits();
        for number in 0..u32::try_from(MAX_BUCKETS).unwrap() {
            let address = IpAddr::from(std::net::Ipv4Addr::from_bits(number));
            fail(&limits, Attempt::new(Some(address), Some(&number.to_string())), 1);
        }
        assert!(limits.buckets.len() <= MAX_BUCKETS);
    }
}

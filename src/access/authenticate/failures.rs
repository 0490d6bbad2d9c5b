//! Failed attempts, limited by where they come from and whom they name.
//!
//! No secret can be guessed: limits are for what attempts cost, in signature checks and in lines of the log. So they are
//! made not to lock anybody out. A secret or a certificate that is good passes always, for to look it up costs nothing. A
//! token costs a signature check, and is not looked at
//! - where too many failed that came from its address and named its client, or
//! - where too many failed that came from its address, whomever they named; but a client that has proved itself from
//!   there lately is not taken for one of them (behind a proxy, all callers may have one address).
//!
//! What others do elsewhere in a client's name never keeps its tokens from being looked at: they only hear less.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};

use crate::model::{Source, UnixTime};

/// How many buckets are kept. An attacker with more addresses than that makes tokend forget some; memory stays bounded.
const MOST_BUCKETS: usize = 20_000;

/// How much more is borne of an address, or of a client, in all than of one with the other.
const IN_ALL: u64 = 5;

/// How long an address is remembered as one that a client called from.
const PROVED: Duration = Duration::from_secs(3600);

/// A minute has so many seconds: an attempt costs as many units, of which a bucket regains its limit each second.
const ATTEMPT: u64 = 60;

/// Whom an attempt names. A digest, for it may be any text of any length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Name([u8; 16]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Bucket {
    Pair(Source, Name),
    Source(Source),
    Name(Name),
}

#[derive(Debug, Clone, Copy)]
struct Level {
    units: u64,
    at: UnixTime,
    proved: Option<UnixTime>,
}

/// An attempt, as far as limits are concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    source: Option<Source>,
    name: Option<Name>,
}

impl Attempt {
    /// One from `address` in the name of `name`.
    pub(super) fn new(address: Option<IpAddr>, name: Option<&str>) -> Self {
        let name = name.map(|name| {
            let mut short = [0; 16];
            short
                .iter_mut()
                .zip(digest(&SHA256, name.as_bytes()).as_ref())
                .for_each(|(to, from)| *to = *from);
            Name(short)
        });
        Self { source: address.map(Source::of), name }
    }

    fn pair(self) -> Option<Bucket> {
        Some(Bucket::Pair(self.source?, self.name?))
    }
}

/// Counts failed attempts. Good ones touch it only where a signature was checked.
#[derive(Debug)]
pub(super) struct Failures {
    per_minute: u64,
    levels: Mutex<HashMap<Bucket, Level>>,
}

impl Failures {
    /// Bears `per_minute` of one address that names one client, and five times as many of either in all.
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        Self { per_minute: u64::from(per_minute.get()), levels: Mutex::default() }
    }

    /// Whether a costly credential may be looked at; else when the next one may.
    pub(super) fn may_cost(&self, attempt: Attempt, now: UnixTime) -> Result<(), Duration> {
        let levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = attempt.pair();
        if let Some(pair) = pair {
            self.has_room(&levels, pair, now)?;
        }
        let proved = pair.and_then(|pair| levels.get(&pair)?.proved).is_some_and(|until| now < until);
        match attempt.source {
            Some(source) if !proved => self.has_room(&levels, Bucket::Source(source), now),
            _ => Ok(()),
        }
    }

    /// Counts a failure. An error if it was one too many.
    pub(super) fn failed(&self, attempt: Attempt, now: UnixTime) -> Result<(), Duration> {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = [attempt.pair(), attempt.source.map(Bucket::Source), attempt.name.map(Bucket::Name)];
        let mut result = Ok(());
        for bucket in buckets.into_iter().flatten() {
            if let Err(wait) = self.has_room(&levels, bucket, now) {
                result = Err(wait);
                continue;
            }
            let full = self.capacity(bucket);
            let level = self.level(&mut levels, bucket, now);
            level.units = level.units.min(full).saturating_sub(ATTEMPT);
        }
        result
    }

    /// Remembers that a client proved itself from there.
    pub(super) fn proved(&self, attempt: Attempt, now: UnixTime) {
        let Some(pair) = attempt.pair() else { return };
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        self.level(&mut levels, pair, now).proved = Some(now.after(PROVED));
    }

    const fn limit(&self, bucket: Bucket) -> u64 {
        match bucket {
            Bucket::Pair(..) => self.per_minute,
            Bucket::Source(_) | Bucket::Name(_) => self.per_minute * IN_ALL,
        }
    }

    /// A minute's worth at once.
    const fn capacity(&self, bucket: Bucket) -> u64 {
        self.limit(bucket) * ATTEMPT
    }

    fn units(&self, bucket: Bucket, level: &Level, now: UnixTime) -> u64 {
        let regained = self.limit(bucket).saturating_mul(now.since(level.at).as_secs());
        level.units.saturating_add(regained).min(self.capacity(bucket))
    }

    fn has_room(
        &self,
        levels: &HashMap<Bucket, Level>,
        bucket: Bucket,
        now: UnixTime,
    ) -> Result<(), Duration> {
        let Some(level) = levels.get(&bucket) else { return Ok(()) };
        let missing = ATTEMPT.saturating_sub(self.units(bucket, level, now));
        if missing == 0 { Ok(()) } else { Err(Duration::from_secs(missing.div_ceil(self.limit(bucket)))) }
    }

    /// The bucket as of now.
    fn level<'l>(
        &self,
        levels: &'l mut HashMap<Bucket, Level>,
        bucket: Bucket,
        now: UnixTime,
    ) -> &'l mut Level {
        if levels.len() >= MOST_BUCKETS && !levels.contains_key(&bucket) {
            self.make_room(levels, now);
        }
        let full = Level { units: self.capacity(bucket), at: now, proved: None };
        let level = levels.entry(bucket).or_insert(full);
        level.units = self.units(bucket, level, now);
        level.at = now;
        level
    }

    /// Forgets what says nothing any more; and if that is not enough, a part of the rest, whichever.
    fn make_room(&self, levels: &mut HashMap<Bucket, Level>, now: UnixTime) {
        levels.retain(|bucket, level| {
            level.proved.is_some_and(|until| now < until)
                || self.units(*bucket, level, now) < self.capacity(*bucket)
        });
        let mut excess = levels.len().saturating_sub(MOST_BUCKETS / 4 * 3);
        levels.retain(|_, _| {
            let forget = excess > 0;
            excess = excess.saturating_sub(1);
            !forget
        });
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use super::{Attempt, Failures, MOST_BUCKETS};
    use crate::model::UnixTime;

    const NOW: UnixTime = UnixTime::from_seconds(1_000_000);

    fn failures() -> Failures {
        Failures::new(NonZeroU32::new(10).unwrap())
    }

    fn attempt(address: &str, name: &str) -> Attempt {
        Attempt::new(Some(address.parse().unwrap()), Some(name))
    }

    fn fail(failures: &Failures, attempt: Attempt, times: u32) {
        for _ in 0..times {
            let _ = failures.failed(attempt, NOW);
        }
    }

    #[test]
    fn a_minutes_worth_is_borne_and_comes_back_with_time() {
        let failures = failures();
        let bad = attempt("10.0.0.1", "web");
        for _ in 0..10 {
            assert_eq!(failures.may_cost(bad, NOW), Ok(()));
            assert_eq!(failures.failed(bad, NOW), Ok(()));
        }
        let six = Duration::from_secs(6);
        assert_eq!(failures.may_cost(bad, NOW), Err(six));
        assert_eq!(failures.failed(bad, NOW), Err(six));
        assert_eq!(
            failures.may_cost(bad, NOW.after(six - Duration::from_secs(1))),
            Err(Duration::from_secs(1))
        );
        assert_eq!(failures.may_cost(bad, NOW.after(six)), Ok(()));
        // A clock that is set back gives nothing.
        assert_eq!(failures.may_cost(bad, NOW.minus(six)), Err(six));
    }

    #[test]
    fn nobody_elsewhere_can_lock_a_client_out() {
        let failures = failures();
        for host in 1..=100 {
            fail(&failures, attempt(&format!("10.0.0.{host}"), "web"), 50);
        }
        assert!(failures.failed(attempt("10.1.0.1", "web"), NOW).is_err(), "they only hear less");
        assert_eq!(failures.may_cost(attempt("10.1.0.2", "web"), NOW), Ok(()));
    }

    #[test]
    fn an_address_is_limited_whomever_it_names_but_for_those_who_proved_themselves() {
        let failures = failures();
        let (good, fresh) = (attempt("10.0.0.1", "good"), attempt("10.0.0.1", "fresh"));
        failures.proved(good, NOW);
        for number in 0..100 {
            fail(&failures, attempt("10.0.0.1", &format!("name-{number}")), 1);
        }
        assert!(failures.may_cost(fresh, NOW).is_err());
        assert_eq!(failures.may_cost(good, NOW), Ok(()));
        assert_eq!(failures.may_cost(attempt("10.0.0.2", "fresh"), NOW), Ok(()));
        fail(&failures, good, 10);
        assert!(failures.may_cost(good, NOW).is_err(), "its own failures count");
    }

    #[test]
    fn an_address_of_ipv6_counts_with_its_network() {
        let failures = failures();
        fail(&failures, attempt("2001:db8::1", "web"), 10);
        assert!(failures.may_cost(attempt("2001:db8::ffff:2", "web"), NOW).is_err());
        assert_eq!(failures.may_cost(attempt("2001:db8:0:1::1", "web"), NOW), Ok(()));
        fail(&failures, attempt("::ffff:10.0.0.9", "web"), 10);
        assert!(failures.may_cost(attempt("10.0.0.9", "web"), NOW).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let failures = failures();
        for number in 0..u32::try_from(MOST_BUCKETS).unwrap() {
            let address = std::net::IpAddr::from(std::net::Ipv4Addr::from_bits(number));
            fail(&failures, Attempt::new(Some(address), Some(&number.to_string())), 1);
        }
        assert!(failures.levels.lock().unwrap().len() <= MOST_BUCKETS);
        // An hour later none of them says anything.
        let later = NOW.after(Duration::from_secs(3600));
        failures.make_room(&mut failures.levels.lock().unwrap(), later);
        assert!(failures.levels.lock().unwrap().is_empty());
    }
}

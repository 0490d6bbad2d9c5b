//! A token bucket in one atomic (the generic cell rate algorithm).

use std::{num::NonZeroU32, sync::atomic::Ordering::Relaxed, time::Duration};

// `loom/` has a model of this file.
#[cfg(loom)]
use loom::sync::atomic::AtomicU64;
#[cfg(not(loom))]
use std::sync::atomic::AtomicU64;

/// A rate, in nanoseconds. The burst is all that one period allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    interval: u64,
    burst: u64,
}

impl Rate {
    /// `count` in each second.
    pub(crate) fn per_second(count: NonZeroU32) -> Self {
        Self::new(count, Duration::from_secs(1))
    }

    /// `count` in each minute.
    pub(crate) fn per_minute(count: NonZeroU32) -> Self {
        Self::new(count, Duration::from_secs(60))
    }

    fn new(count: NonZeroU32, period: Duration) -> Self {
        let burst = nanoseconds(period);
        Self { interval: burst / u64::from(count.get()), burst }
    }
}

/// The instant by which all accepted events would have happened one by one, in nanoseconds of the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct TokenBucket(AtomicU64);

impl TokenBucket {
    /// Accepts one event, or returns the delay until the next one is accepted.
    pub(crate) fn take(&self, now: Duration, rate: Rate) -> Result<(), Duration> {
        let mut seen = self.0.load(Relaxed);
        loop {
            let next = Self::next(seen, now, rate)?;
            match self.0.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(newer) => seen = newer,
            }
        }
    }

    /// Whether [`Self::take`] would accept an event now.
    pub(crate) fn check(&self, now: Duration, rate: Rate) -> Result<(), Duration> {
        Self::next(self.0.load(Relaxed), now, rate).map(drop)
    }

    fn next(seen: u64, now: Duration, rate: Rate) -> Result<u64, Duration> {
        let now = nanoseconds(now);
        let next = seen.max(now).saturating_add(rate.interval);
        let latest = now.saturating_add(rate.burst);
        if next > latest { Err(Duration::from_nanos(next - latest)) } else { Ok(next) }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
}

#[cfg(all(test, not(loom)))]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn per_second(count: u32) -> Rate {
        Rate::per_second(NonZeroU32::new(count).unwrap())
    }

    #[test]
    fn accepts_a_burst_of_one_second_and_then_one_by_one() {
        let (bucket, ten) = (TokenBucket::default(), per_second(10));
        let at = Duration::from_millis;
        for _ in 0..10 {
            bucket.take(at(5000), ten).unwrap();
        }
        assert_eq!(bucket.take(at(5000), ten), Err(at(100)));
        assert_eq!(bucket.take(at(5060), ten), Err(at(40)), "a refused call costs nothing");
        bucket.take(at(5100), ten).unwrap();
        assert_eq!(bucket.take(at(5100), ten), Err(at(100)));
        // After a long idle time too, the burst is one second's calls.
        let passed = (0..30).filter(|_| bucket.take(at(60_000), ten).is_ok()).count();
        assert_eq!(passed, 10);
    }

    #[test]
    fn a_call_after_the_returned_delay_is_accepted() {
        let (bucket, three) = (TokenBucket::default(), per_second(3));
        let mut now = Duration::from_secs(1);
        let mut passed = 0;
        for _ in 0..100 {
            if let Err(wait) = bucket.take(now, three) {
                assert!(bucket.take(now + wait - Duration::from_nanos(1), three).is_err());
                now += wait;
                bucket.take(now, three).unwrap();
            }
            passed += 1;
        }
        let seconds = (now - Duration::from_secs(1)).as_secs_f64();
        assert!(f64::from(passed) <= 3.0 * (seconds + 1.0) + 0.1, "{passed} in {seconds} s");
    }

    #[test]
    fn concurrent_threads_do_not_exceed_the_rate() {
        let (bucket, limit) = (TokenBucket::default(), per_second(100));
        let passed: usize = std::thread::scope(|scope| {
            let take = || (0..100).filter(|_| bucket.take(Duration::from_secs(9), limit).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 100);
    }
}

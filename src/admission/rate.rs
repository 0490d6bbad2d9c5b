//! A token bucket in one atomic (the generic cell rate algorithm).

use std::{num::NonZeroU32, sync::atomic::Ordering::Relaxed, time::Duration};

// `loom/` has a model of this file.
#[cfg(loom)]
use loom::sync::atomic::AtomicU64;
#[cfg(not(loom))]
use std::sync::atomic::AtomicU64;

/// What a bucket holds at most: the calls of one second, so that a client may be idle and then ask for all of them at once.
const BURST: u64 = 1_000_000_000;

/// Until when the calls that were let through would have come one by one, in nanoseconds of the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Rate(AtomicU64);

impl Rate {
    /// Lets a call through, or says after how long one would be.
    pub(super) fn take(&self, now: Duration, per_second: NonZeroU32) -> Result<(), Duration> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX / 2);
        let interval = BURST / u64::from(per_second.get());
        let mut seen = self.0.load(Relaxed);
        loop {
            let next = seen.max(now).saturating_add(interval);
            let most = now.saturating_add(BURST);
            if next > most {
                return Err(Duration::from_nanos(next - most));
            }
            match self.0.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(newer) => seen = newer,
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_calls_at_once_and_then_one_by_one() {
        let (rate, ten) = (Rate::default(), NonZeroU32::new(10).unwrap());
        let at = Duration::from_millis;
        for _ in 0..10 {
            rate.take(at(5000), ten).unwrap();
        }
        assert_eq!(rate.take(at(5000), ten), Err(at(100)));
        assert_eq!(rate.take(at(5060), ten), Err(at(40)), "a refused call costs nothing");
        rate.take(at(5100), ten).unwrap();
        assert_eq!(rate.take(at(5100), ten), Err(at(100)));
        // However long it was idle, no more than a second's calls come at once.
        let passed = (0..30).filter(|_| rate.take(at(60_000), ten).is_ok()).count();
        assert_eq!(passed, 10);
    }

    #[test]
    fn what_is_promised_is_kept() {
        let (rate, three) = (Rate::default(), NonZeroU32::new(3).unwrap());
        let mut now = Duration::from_secs(1);
        let mut passed = 0;
        for _ in 0..100 {
            match rate.take(now, three) {
                Ok(()) => passed += 1,
                Err(wait) => {
                    assert!(rate.take(now + wait - Duration::from_nanos(1), three).is_err());
                    now += wait;
                    rate.take(now, three).unwrap();
                    passed += 1;
                }
            }
        }
        let seconds = (now - Duration::from_secs(1)).as_secs_f64();
        assert!(f64::from(passed) <= 3.0 * (seconds + 1.0) + 0.1, "{passed} in {seconds} s");
    }

    #[test]
    fn of_many_threads_at_once_no_more_pass() {
        let (rate, limit) = (Rate::default(), NonZeroU32::new(100).unwrap());
        let passed: usize = std::thread::scope(|scope| {
            let take = || (0..100).filter(|_| rate.take(Duration::from_secs(9), limit).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 100);
    }
}

//! Sampling: which calls are traced.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Decides for each call whether it is traced.
#[derive(Debug)]
pub struct Sampling {
    /// A call is traced if its 64-bit number is below; none: every call is.
    threshold: Option<u64>,
    follow_callers: bool,
    calls: AtomicU64,
}

impl Sampling {
    /// Traces this ratio of the calls. With `follow_callers`, the caller's decision takes precedence. `seed` is random.
    pub const fn new(ratio: f64, follow_callers: bool, seed: u64) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the ratio is between 0 and 1, and need not be exact"
        )]
        let threshold = if ratio < 1.0 { Some((ratio * u64::MAX as f64) as u64) } else { None };
        Self { threshold, follow_callers, calls: AtomicU64::new(seed) }
    }

    /// Decides for a call; `parent` is the caller's decision.
    pub(super) fn decide(&self, parent: Option<bool>) -> bool {
        match parent {
            Some(sampled) if self.follow_callers => sampled,
            _ => self.threshold.is_none_or(|threshold| threshold > 0 && self.number() < threshold),
        }
    }

    /// A pseudo-random number (SplitMix64). Predicting it gains nothing.
    fn number(&self) -> u64 {
        let mut number = self.calls.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_set_ratio_is_traced() {
        for (ratio, least, most) in [(0.0, 0, 0), (0.01, 60, 140), (0.5, 4800, 5200), (1.0, 10_000, 10_000)] {
            let sampling = Sampling::new(ratio, true, 42);
            let traced = (0..10_000).filter(|_| sampling.decide(None)).count();
            assert!((least..=most).contains(&traced), "{ratio}: {traced}");
        }
    }

    #[test]
    fn the_caller_decides_if_it_is_followed() {
        let all = Sampling::new(1.0, true, 1);
        assert!(!all.decide(Some(false)) && all.decide(Some(true)) && all.decide(None));
        let none = Sampling::new(0.0, true, 1);
        assert!(none.decide(Some(true)) && !none.decide(Some(false)) && !none.decide(None));
        let alone = Sampling::new(0.0, false, 1);
        assert!(!alone.decide(Some(true)));
        assert!(Sampling::new(1.0, false, 1).decide(Some(false)));
    }
}

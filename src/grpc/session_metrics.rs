//! Sessions that were begun, and refreshes by result.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

use crate::tokens::{RefreshOutcome, RefreshedSession, SessionError};

/// How many sessions were begun, and how many refreshes there were, by result.
#[derive(Debug, Default)]
pub struct SessionMetrics {
    begun: AtomicU64,
    rotated: AtomicU64,
    repeated: AtomicU64,
    invalid: AtomicU64,
    reused: AtomicU64,
    denied: AtomicU64,
    broken: AtomicU64,
}

impl SessionMetrics {
    /// Counts a session that was begun.
    pub(super) fn begun(&self) {
        self.begun.fetch_add(1, Relaxed);
    }

    /// Counts a refresh that the calling client was allowed to try.
    pub(super) fn refreshed(&self, outcome: &Result<RefreshedSession, SessionError>) {
        let counter = match outcome {
            Ok(refreshed) => match refreshed.outcome {
                RefreshOutcome::Rotated => &self.rotated,
                RefreshOutcome::Repeated => &self.repeated,
            },
            Err(SessionError::Invalid(_)) => &self.invalid,
            Err(SessionError::Reused(_)) => &self.reused,
            Err(SessionError::Policy(_) | SessionError::RequestIdReused(_)) => &self.denied,
            Err(
                SessionError::Store(_)
                | SessionError::Contended
                | SessionError::Issue(_)
                | SessionError::Random(_)
                | SessionError::Seal(_),
            ) => &self.broken,
        };
        counter.fetch_add(1, Relaxed);
    }
}

impl Collector for SessionMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Sessions that were begun";
        let begun = encoder.encode_descriptor("tokend_sessions_begun", help, None, MetricType::Counter)?;
        ConstCounter::new(self.begun.load(Relaxed)).encode(begun)?;
        let help = "Uses of refresh tokens, by outcome";
        let mut refreshes = encoder.encode_descriptor("tokend_refreshes", help, None, MetricType::Counter)?;
        for (outcome, counter) in [
            ("rotated", &self.rotated),
            ("repeated", &self.repeated),
            ("invalid", &self.invalid),
            ("reused", &self.reused),
            ("denied", &self.denied),
            ("error", &self.broken),
        ] {
            // From the start, with 0: a rate needs a value to rise from.
            let count = ConstCounter::new(counter.load(Relaxed));
            count.encode(refreshes.encode_family(&[("outcome", outcome)])?)?;
        }
        Ok(())
    }
}

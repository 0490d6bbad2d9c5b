//! A histogram made of plain atomics. The one of `prometheus-client` takes a lock for each observation, which
//! every call of every method would share.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};

/// Upper bounds of the buckets in seconds: from 50 us, for a cached verification, to 10 s, the longest call.
pub const SECONDS: [f64; 15] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5, 10.0,
];

/// How long things took. Observing never blocks; a scrape may see an observation in part.
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [AtomicU64; SECONDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Durations {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = SECONDS.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.buckets.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.nanoseconds.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Whether none was counted.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Writes it in the exposition format.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn encode(&self, encoder: &mut MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = SECONDS.iter().copied().chain([f64::INFINITY]);
        let counts: Vec<(f64, u64)> =
            bounds.zip(&self.buckets).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
        let total = counts.iter().map(|(_, count)| count).sum();
        #[expect(clippy::cast_precision_loss, reason = "a sum of seconds for a graph")]
        let sum = self.nanoseconds.load(Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, total, &counts, None)
    }
}

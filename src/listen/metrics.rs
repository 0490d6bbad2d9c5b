//! Metrics of connections, by port.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use super::resets::Reset;
use crate::metrics::MetricsRegistry;

/// Why a connection was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// `max_connections` are open.
    Full,
    /// `max_connections_per_source` are open.
    SourceFull,
    /// The TLS handshake failed, or timed out.
    Handshake,
    /// The system has no file descriptor or memory for it.
    Exhausted,
}

const REASONS: [&str; 4] = ["full", "source_full", "handshake", "exhausted"];

/// The connections of one port.
#[derive(Debug, Default)]
pub struct ListenMetrics {
    open: AtomicUsize,
    refused: [AtomicU64; REASONS.len()],
    /// Malformed, refused.
    resets: [AtomicU64; 2],
}

impl ListenMetrics {
    /// Registers the metrics of the ports with these names.
    pub fn register<const N: usize>(
        metrics: &mut MetricsRegistry,
        names: [&'static str; N],
    ) -> [Arc<Self>; N] {
        let ports = names.map(|_| Arc::<Self>::default());
        let registered = ports.clone();
        metrics.on_scrape(move |scrape| {
            let ports = || names.into_iter().zip(&registered);
            let open = ports().map(|(name, port)| ([("port", name)], port.open.load(Relaxed)));
            scrape.gauges("tokend_connections", "Connections that are open, by port", open)?;
            let refused = ports().flat_map(|(name, port)| {
                let reasons = REASONS.into_iter().zip(&port.refused);
                reasons
                    .map(move |(reason, count)| ([("port", name), ("reason", reason)], count.load(Relaxed)))
            });
            let help = "Connections that were not served, by port and reason";
            scrape.counters("tokend_connections_refused", help, refused)?;
            let resets = ["malformed", "too_many_streams"].into_iter().enumerate().map(|(index, reason)| {
                let counts = registered.iter().filter_map(|port| port.resets.get(index));
                ([("reason", reason)], counts.map(|count| count.load(Relaxed)).sum::<u64>())
            });
            let help = "Requests that were reset before they became a call, by reason";
            scrape.counters("tokend_requests_reset", help, resets)
        });
        ports
    }

    /// Counts a reset, and returns the number of its kind.
    pub(super) fn reset(&self, reset: Reset) -> u64 {
        let [malformed, refused] = &self.resets;
        let count = match reset {
            Reset::Malformed => malformed,
            Reset::Refused => refused,
        };
        count.fetch_add(1, Relaxed) + 1
    }

    pub(super) fn set_open(&self, count: usize) {
        self.open.store(count, Relaxed);
    }

    /// Counts a connection that is not served, and returns the number for this reason.
    pub(super) fn refuse(&self, reason: Refused) -> u64 {
        self.refused.get(reason as usize).map_or(0, |count| count.fetch_add(1, Relaxed) + 1)
    }
}

//! What is counted of connections.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// Why a connection was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// There were as many as there may be.
    Full,
    /// There were as many of its source as there may be.
    SourceFull,
    /// The TLS handshake failed, or took too long.
    Handshake,
    /// The system had no file or memory for it.
    Exhausted,
}

impl Refused {
    const ALL: [Self; 4] = [Self::Full, Self::SourceFull, Self::Handshake, Self::Exhausted];

    const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::SourceFull => "source_full",
            Self::Handshake => "handshake",
            Self::Exhausted => "exhausted",
        }
    }
}

/// The connections of one port.
#[derive(Debug)]
pub struct ListenMetrics {
    port: &'static str,
    open: AtomicUsize,
    refused: [AtomicU64; Refused::ALL.len()],
}

impl ListenMetrics {
    /// Counts for the port of this name.
    pub fn new(port: &'static str) -> Self {
        Self { port, open: AtomicUsize::new(0), refused: Default::default() }
    }

    pub(super) fn open(&self, count: usize) {
        self.open.store(count, Relaxed);
    }

    /// Counts one more, and answers how many there have been.
    pub(super) fn refused(&self, why: Refused) -> u64 {
        let all = Refused::ALL.iter().zip(&self.refused);
        all.filter(|(one, _)| **one == why).map(|(_, count)| count.fetch_add(1, Relaxed) + 1).sum()
    }
}

/// The connections of every port, for the exposition.
impl Collector for ListenMetricsOf {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Connections that are open, by port";
        let mut open = encoder.encode_descriptor("tokend_connections", help, None, MetricType::Gauge)?;
        for port in &self.0 {
            let labels = [("port", port.port)];
            let count = u64::try_from(port.open.load(Relaxed)).unwrap_or(u64::MAX);
            ConstGauge::new(count).encode(open.encode_family(&labels)?)?;
        }
        let help = "Connections that were not served, by port and reason";
        let name = "tokend_connections_refused";
        let mut refused = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for port in &self.0 {
            for (why, count) in Refused::ALL.iter().zip(&port.refused) {
                let labels = [("port", port.port), ("reason", why.name())];
                ConstCounter::new(count.load(Relaxed)).encode(refused.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// The connections of these ports.
#[derive(Debug)]
pub struct ListenMetricsOf(pub Vec<std::sync::Arc<ListenMetrics>>);

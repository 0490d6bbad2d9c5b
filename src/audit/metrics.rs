//! The metrics of the audit log.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

/// The counts of one sink.
#[derive(Debug, Default)]
pub(super) struct SinkCounts {
    pub(super) written: AtomicU64,
    /// The events of failed attempts; an event may be retried.
    pub(super) failed: AtomicU64,
    pub(super) lost: AtomicU64,
}

/// Events by sink and result, and lost events.
#[derive(Debug, Default)]
pub struct AuditMetrics {
    pub(super) sinks: Vec<(&'static str, Arc<SinkCounts>)>,
}

impl Collector for AuditMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Events of the audit log, by sink and result; one that failed may be tried again";
        let mut events = encoder.encode_descriptor("tokend_audit_events", help, None, MetricType::Counter)?;
        for (sink, counts) in &self.sinks {
            for (result, count) in [("written", &counts.written), ("failed", &counts.failed)] {
                let labels = [("sink", *sink), ("result", result)];
                ConstCounter::new(count.load(Relaxed)).encode(events.encode_family(&labels)?)?;
            }
        }
        let help = "Events of the audit log that a sink did not get and will not get, by sink";
        let mut lost =
            encoder.encode_descriptor("tokend_audit_events_lost", help, None, MetricType::Counter)?;
        for (sink, counts) in &self.sinks {
            let labels = [("sink", *sink)];
            ConstCounter::new(counts.lost.load(Relaxed)).encode(lost.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

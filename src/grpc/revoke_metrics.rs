//! Revocations by what they are of.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

use crate::model::RevocationTarget;

/// How many revocations were made here, by what they are of.
#[derive(Debug, Default)]
pub struct RevokeMetrics {
    tokens: AtomicU64,
    sessions: AtomicU64,
    subjects: AtomicU64,
    clients: AtomicU64,
}

impl RevokeMetrics {
    /// Counts a revocation that is durable.
    pub(super) fn made(&self, target: &RevocationTarget) {
        let counter = match target {
            RevocationTarget::Token(_) => &self.tokens,
            RevocationTarget::Session(_) => &self.sessions,
            RevocationTarget::Subject(..) => &self.subjects,
            RevocationTarget::Client(..) => &self.clients,
            // No call makes one.
            RevocationTarget::Everything(_) => return,
        };
        counter.fetch_add(1, Relaxed);
    }
}

impl Collector for RevokeMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Revocations that RevokeToken made durable, by what they are of";
        let name = "tokend_revocations_made";
        let mut made = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (target, counter) in [
            ("token", &self.tokens),
            ("session", &self.sessions),
            ("subject", &self.subjects),
            ("client", &self.clients),
        ] {
            // From the start, with 0: a rate needs a value to rise from.
            let count = ConstCounter::new(counter.load(Relaxed));
            count.encode(made.encode_family(&[("target", target)])?)?;
        }
        Ok(())
    }
}

//! The revocations in memory, as metrics.

use std::sync::Arc;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};

use crate::revocations::Revocations;

/// What is read at the scrape: how many revocations there are, what they take, and how old the view of them is.
#[derive(Debug)]
pub(super) struct RevocationGauges(pub(super) Arc<Revocations>);

impl Collector for RevocationGauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Self(revocations) = self;
        let mut of_kinds = encoder.encode_descriptor(
            "tokend_revocations",
            "Revocations in memory that have not expired, by what they name",
            None,
            MetricType::Gauge,
        )?;
        for (kind, count) in revocations.live() {
            ConstGauge::new(number(count)).encode(of_kinds.encode_family(&[("target", kind.name())])?)?;
        }
        let help = "Memory that the revocations take";
        let bytes =
            encoder.encode_descriptor("tokend_revocations_memory_bytes", help, None, MetricType::Gauge)?;
        ConstGauge::new(number(revocations.bytes())).encode(bytes)?;
        let help = "Time since the revocations in memory were known to be the store's";
        let age = encoder.encode_descriptor(
            "tokend_revocations_view_age_seconds",
            help,
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(revocations.age().as_secs()).encode(age)
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

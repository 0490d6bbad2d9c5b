//! Metrics of clients and call classes.

use std::{
    fmt::Error,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{
    concurrency::{CallClass, ConcurrencyLimits},
    traffic::{ResultClass, Traffic},
};

/// Calls and tokens by client; running, waiting and refused calls by class.
#[derive(Debug)]
pub struct AdmissionMetrics {
    pub(super) limits: Arc<ConcurrencyLimits>,
    pub(super) traffic: Arc<Traffic>,
}

impl AdmissionMetrics {
    fn encode_clients(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let series = self.traffic.series();
        let help = "Calls by client and result; clients beyond 1,000, and deleted clients, share a series";
        let mut calls = encoder.encode_descriptor("tokend_client_calls", help, None, MetricType::Counter)?;
        for (client_id, counts) in &series {
            for class in ResultClass::ALL {
                let count = counts.calls(class).load(Relaxed);
                if count > 0 {
                    let labels = [("client_id", client_id.as_str()), ("result", class.name())];
                    ConstCounter::new(count).encode(calls.encode_family(&labels)?)?;
                }
            }
        }
        let help = "Issued tokens by client; clients beyond 1,000, and deleted clients, share a series";
        let mut tokens =
            encoder.encode_descriptor("tokend_client_tokens_issued", help, None, MetricType::Counter)?;
        for (client_id, counts) in &series {
            let count = counts.tokens.load(Relaxed);
            if count > 0 {
                let labels = [("client_id", client_id.as_str())];
                ConstCounter::new(count).encode(tokens.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn encode_classes(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let counts = CallClass::ALL.map(|class| (class.name(), self.limits.of(class).counts()));
        let counts = counts.map(|(name, (running, waiting, refused))| {
            let [running, waiting] = [running, waiting].map(|count| u64::try_from(count).unwrap_or(u64::MAX));
            ([("lane", name)], running, waiting, refused)
        });
        let help = "Running calls by class";
        let mut busy = encoder.encode_descriptor("tokend_lane_busy", help, None, MetricType::Gauge)?;
        for (label, running, _, _) in &counts {
            ConstGauge::new(*running).encode(busy.encode_family(label)?)?;
        }
        let help = "Calls that wait for a permit, by class";
        let mut queued = encoder.encode_descriptor("tokend_lane_waiting", help, None, MetricType::Gauge)?;
        for (label, _, waiting, _) in &counts {
            ConstGauge::new(*waiting).encode(queued.encode_family(label)?)?;
        }
        let help = "Calls that were refused because the queue of their class was full, by class";
        let mut rejected =
            encoder.encode_descriptor("tokend_lane_refused", help, None, MetricType::Counter)?;
        for (label, _, _, refused) in &counts {
            ConstCounter::new(*refused).encode(rejected.encode_family(label)?)?;
        }
        Ok(())
    }
}

impl Collector for AdmissionMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        self.encode_clients(&mut encoder)?;
        self.encode_classes(&mut encoder)
    }
}

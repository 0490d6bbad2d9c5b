//! Metrics of clients and call classes.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{
    concurrency::{CallClass, ConcurrencyLimits},
    traffic::{ResultClass, Traffic},
};

/// Calls and tokens by client, and how many calls of each class run and wait.
#[derive(Debug)]
pub struct AdmissionMetrics {
    pub(super) limits: Arc<ConcurrencyLimits>,
    pub(super) traffic: Arc<Traffic>,
}

impl AdmissionMetrics {
    fn encode_clients(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let series = self.traffic.series();
        let help =
            "Calls by client and result; clients beyond 1,000, and those that are gone, share a series";
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
        let help = "Tokens that were issued, by client; clients beyond 1,000, and those that are gone, share a series";
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

    fn encode_classes(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counts = CallClass::ALL.map(|class| (class.name(), self.limits.of(class).counts()));
        let help = "Calls that are being worked on, by lane";
        let mut busy = encoder.encode_descriptor("tokend_lane_busy", help, None, MetricType::Gauge)?;
        for (name, (count, _, _)) in counts {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            ConstGauge::new(count).encode(busy.encode_family(&[("lane", name)])?)?;
        }
        let help = "Calls that wait, by lane";
        let mut waiting = encoder.encode_descriptor("tokend_lane_waiting", help, None, MetricType::Gauge)?;
        for (name, (_, count, _)) in counts {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            ConstGauge::new(count).encode(waiting.encode_family(&[("lane", name)])?)?;
        }
        let help = "Calls that were refused since too many of their kind were waiting, by lane";
        let mut refused =
            encoder.encode_descriptor("tokend_lane_refused", help, None, MetricType::Counter)?;
        for (name, (_, _, count)) in counts {
            ConstCounter::new(count).encode(refused.encode_family(&[("lane", name)])?)?;
        }
        Ok(())
    }
}

impl Collector for AdmissionMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.encode_clients(&mut encoder)?;
        self.encode_classes(&mut encoder)
    }
}

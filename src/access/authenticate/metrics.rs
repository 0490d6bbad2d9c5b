//! Metrics of authentication.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

use super::{Authenticated, AuthenticationError};
use crate::model::AuthenticationMethod;

/// The values of label `result`.
const RESULTS: [&str; 4] = ["ok", "refused", "rate_limited", "unavailable"];

/// Authentications by method and result. An unrecognised credential has the method `none`.
#[derive(Debug, Default)]
pub struct AuthenticationMetrics {
    counters: [[AtomicU64; RESULTS.len()]; METHODS],
}

const METHODS: usize = AuthenticationMethod::ALL.len() + 1;

impl AuthenticationMetrics {
    pub(super) fn count(&self, result: &Result<Authenticated, AuthenticationError>) {
        let (method, result) = match result {
            Ok(client) => (Some(client.method), 0),
            Err(error @ (AuthenticationError::Missing | AuthenticationError::Invalid(_))) => {
                (error.method(), 1)
            }
            Err(error @ AuthenticationError::RateLimited { .. }) => (error.method(), 2),
            Err(error @ (AuthenticationError::Store(_) | AuthenticationError::IssuerKeys(_))) => {
                (error.method(), 3)
            }
        };
        let index = method.and_then(|method| AuthenticationMethod::ALL.iter().position(|one| *one == method));
        let counters = self.counters.get(index.unwrap_or(AuthenticationMethod::ALL.len()));
        if let Some(counter) = counters.and_then(|counters| counters.get(result)) {
            counter.fetch_add(1, Relaxed);
        }
    }
}

impl Collector for AuthenticationMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Authentications of callers, by method and result";
        let mut family =
            encoder.encode_descriptor("tokend_authentications", help, None, MetricType::Counter)?;
        let methods = AuthenticationMethod::ALL.iter().map(|method| method.name()).chain(["none"]);
        for (method, counters) in methods.zip(&self.counters) {
            for (result, counter) in RESULTS.iter().zip(counters) {
                let labels = [("method", method), ("result", *result)];
                ConstCounter::new(counter.load(Relaxed)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

//! Authentications by method and result.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

use super::failure::AuthenticationError;
use crate::model::AuthenticationMethod;

/// How an authentication ended.
const RESULTS: [&str; 4] = ["ok", "refused", "rate_limited", "unavailable"];

/// How many there were. A credential whose kind nobody can tell counts under the method `none`.
#[derive(Debug, Default)]
pub struct AuthenticationMetrics {
    counters: [[AtomicU64; RESULTS.len()]; METHODS],
}

const METHODS: usize = AuthenticationMethod::ALL.len() + 1;

impl AuthenticationMetrics {
    /// Counts one. That there is no credential is counted as refused.
    pub(super) fn count(&self, method: Option<AuthenticationMethod>, error: Option<&AuthenticationError>) {
        let result = match error {
            None => 0,
            Some(AuthenticationError::Missing | AuthenticationError::Invalid(_)) => 1,
            Some(AuthenticationError::RateLimited { .. }) => 2,
            Some(AuthenticationError::Store(_) | AuthenticationError::IssuerKeys(_)) => 3,
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
        let help = "Callers' credentials that were checked, by method and result";
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

//! Logins by result.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

use crate::{
    access::HashError,
    tokens::{LoggedIn, LoginError},
};

/// How many logins there were, by result.
#[derive(Debug, Default)]
pub struct LoginMetrics {
    succeeded: AtomicU64,
    failed: AtomicU64,
    limited: AtomicU64,
    denied: AtomicU64,
    broken: AtomicU64,
}

impl LoginMetrics {
    /// Counts a login that the calling client was allowed to try.
    pub(super) fn count(&self, outcome: &Result<LoggedIn, LoginError>) {
        let counter = match outcome {
            Ok(_) => &self.succeeded,
            Err(LoginError::Failed(_)) => &self.failed,
            Err(LoginError::Limited(_) | LoginError::Hash(HashError::Busy { .. })) => &self.limited,
            Err(LoginError::Denied(_)) => &self.denied,
            Err(
                LoginError::Store(_) | LoginError::Hash(_) | LoginError::Issue(_) | LoginError::Session(_),
            ) => &self.broken,
        };
        counter.fetch_add(1, Relaxed);
    }
}

impl Collector for LoginMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Logins, by result";
        let mut logins = encoder.encode_descriptor("tokend_logins", help, None, MetricType::Counter)?;
        for (result, counter) in [
            ("OK", &self.succeeded),
            ("LOGIN_FAILED", &self.failed),
            ("RATE_LIMITED", &self.limited),
            ("SCOPE_NOT_ALLOWED", &self.denied),
            ("ERROR", &self.broken),
        ] {
            // From the start, with 0: a rate needs a value to rise from.
            let count = ConstCounter::new(counter.load(Relaxed));
            count.encode(logins.encode_family(&[("result", result)])?)?;
        }
        Ok(())
    }
}

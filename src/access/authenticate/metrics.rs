//! Metrics of authentication.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{Authenticated, AuthenticationError};
use crate::{metrics::MetricsRegistry, model::AuthenticationMethod};

const METHODS: usize = AuthenticationMethod::ALL.len() + 1;

/// The values of label `result`.
const RESULTS: [&str; 4] = ["ok", "refused", "rate_limited", "unavailable"];

/// Authentications by method and result. An unrecognised credential has the method `none`.
#[derive(Debug, Default)]
pub(super) struct AuthenticationMetrics {
    counters: [[AtomicU64; RESULTS.len()]; METHODS],
}

impl AuthenticationMetrics {
    pub(super) fn register(metrics: &mut MetricsRegistry) -> Arc<Self> {
        let counted = Arc::<Self>::default();
        let scraped = Arc::clone(&counted);
        metrics.on_scrape(move |scrape| {
            let methods = AuthenticationMethod::ALL.iter().map(|method| method.name()).chain(["none"]);
            let series = methods.zip(&scraped.counters).flat_map(|(method, counters)| {
                let results = RESULTS.into_iter().zip(counters);
                results.map(move |(result, count)| {
                    ([("method", method), ("result", result)], count.load(Relaxed))
                })
            });
            let help = "Authentications of callers, by method and result";
            scrape.counters("tokend_authentications", help, series)
        });
        counted
    }

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

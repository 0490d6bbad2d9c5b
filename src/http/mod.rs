//! HTTP: the public documents and probes, in plaintext on purpose, as nothing secret is there; and the metrics, on a port of their own.
//!
//! May import everything below, but not `grpc`.

mod documents;
mod metrics;
mod probes;
mod readiness;

use std::sync::Arc;

use axum::{Router, routing::get};

pub use documents::Discovery;
pub use readiness::{NotReady, Readiness};

use crate::{keys::KeyRing, metrics::MetricsRegistry};

/// What the routes work with.
#[derive(Clone)]
pub struct Parts {
    /// The keys to publish.
    pub ring: Arc<KeyRing>,
    /// Where things are.
    pub discovery: Arc<Discovery>,
    /// Whether the replica is ready.
    pub readiness: Readiness,
}

/// Every route on the HTTP port, `/metrics` among them if they are served there.
pub fn routes(parts: Parts, metrics: Option<Arc<MetricsRegistry>>) -> Router {
    let of_issuer = get(documents::of_issuer).options(documents::options_of_issuer);
    let routes = Router::new()
        .route(documents::JWK_SET, get(documents::jwk_set).options(documents::options))
        .route(documents::DISCOVERY[0], get(documents::discovery).options(documents::options))
        .route(documents::DISCOVERY[1], get(documents::discovery).options(documents::options))
        .fallback_service(of_issuer.with_state(parts.clone()))
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .with_state(parts);
    match metrics {
        Some(metrics) => routes.merge(metrics_routes(metrics)),
        None => routes,
    }
}

/// `/metrics`, for a port of its own: the metrics name clients and keys, which are not public.
pub fn metrics_routes(metrics: Arc<MetricsRegistry>) -> Router {
    Router::new().route("/metrics", get(metrics::metrics)).with_state(metrics)
}

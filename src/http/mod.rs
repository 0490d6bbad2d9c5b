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
pub use metrics::WriteMetrics;
pub use readiness::{NotReady, Readiness};

use crate::keys::KeyRing;

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
pub fn routes(parts: Parts, metrics: Option<Arc<WriteMetrics>>) -> Router {
    let routes = Router::new()
        .route("/.well-known/jwks.json", get(documents::jwk_set))
        .route("/.well-known/openid-configuration", get(documents::discovery))
        .route("/.well-known/oauth-authorization-server", get(documents::discovery))
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .with_state(parts);
    match metrics {
        Some(write) => routes.merge(metrics_routes(write)),
        None => routes,
    }
}

/// `/metrics`, for a port of its own: the metrics name clients and keys, which are not public.
pub fn metrics_routes(write: Arc<WriteMetrics>) -> Router {
    Router::new().route("/metrics", get(metrics::metrics)).with_state(write)
}

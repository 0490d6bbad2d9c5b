//! HTTP: the public documents, probes and metrics. Plaintext on purpose: nothing secret is here.
//!
//! May import everything below, but not `grpc`.

mod documents;
mod probes;
mod readiness;

use std::{fmt, sync::Arc};

use axum::{Router, routing::get};

pub use documents::Discovery;
pub use readiness::{NotReady, Readiness};

use crate::keys::KeyRing;

/// Writes the metrics in the exposition format.
pub type WriteMetrics = dyn Fn() -> Result<String, fmt::Error> + Send + Sync;

/// What the routes work with.
#[derive(Clone)]
pub struct Parts {
    /// The keys to publish.
    pub ring: Arc<KeyRing>,
    /// Where things are.
    pub discovery: Arc<Discovery>,
    /// Whether the replica is ready.
    pub readiness: Readiness,
    /// Writes the metrics.
    pub metrics: Arc<WriteMetrics>,
}

/// Every route on the HTTP port.
pub fn routes(parts: Parts) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(documents::jwk_set))
        .route("/.well-known/openid-configuration", get(documents::discovery))
        .route("/.well-known/oauth-authorization-server", get(documents::discovery))
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(probes::metrics))
        .with_state(parts)
}

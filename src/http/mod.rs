//! HTTP: public documents and probes, by default in plaintext because nothing there is secret; and metrics, by default on a port of their own.
//!
//! May import everything below, but not `grpc`.

mod documents;
mod metrics;
mod page;
mod probes;
mod readiness;

use std::sync::Arc;

use axum::{Router, routing::get};

pub use documents::{Discovery, OAuthMetadata};
pub use readiness::{NotReady, Readiness};

use crate::{keys::KeyRing, metrics::MetricsRegistry};

/// State of the routes.
#[derive(Clone)]
pub struct Parts {
    /// Published keys.
    pub ring: Arc<KeyRing>,
    /// URLs for the discovery documents.
    pub discovery: Arc<Discovery>,
    /// Readiness of this replica.
    pub readiness: Readiness,
    /// Whether `/` is the page of the development server.
    pub page: bool,
}

/// The routes of the HTTP port, with `/metrics` if it serves them.
pub fn routes(parts: Parts, metrics: Option<Arc<MetricsRegistry>>) -> Router {
    let page = if parts.page { page::routes() } else { Router::new() };
    let issuer_documents = get(documents::issuer_document).options(documents::issuer_document_options);
    // The routes that are merged may have literal segments such as `:x`.
    let routes = Router::new()
        .without_v07_checks()
        .route(documents::JWK_SET, get(documents::jwk_set).options(documents::options))
        .route(documents::DISCOVERY[0], get(documents::discovery).options(documents::options))
        .route(documents::DISCOVERY[1], get(documents::discovery).options(documents::options))
        .fallback_service(issuer_documents.with_state(parts.clone()))
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .with_state(parts);
    let routes = routes.merge(page.without_v07_checks());
    match metrics {
        Some(metrics) => routes.route("/metrics", get(metrics::metrics).with_state(metrics)),
        None => routes,
    }
}

/// `/metrics`. Metrics name clients and keys, and are not public.
pub fn metrics_routes(metrics: Arc<MetricsRegistry>) -> Router {
    Router::new().route("/metrics", get(metrics::metrics)).with_state(metrics)
}

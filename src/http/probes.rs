//! Probes for orchestrators, and metrics.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use axum::{
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};

use super::Parts;

/// Whether the server takes calls: not before it is ready, and no more when it drains.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether the server takes calls.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Relaxed);
    }
}

/// The process runs.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// The server takes calls.
pub(super) async fn ready(State(parts): State<Parts>) -> (StatusCode, &'static str) {
    if parts.readiness.0.load(Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

pub(super) async fn metrics(State(parts): State<Parts>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match (parts.metrics)() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

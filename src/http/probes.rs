//! Probes for orchestrators, and metrics.

use axum::{
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};

use super::Parts;

/// The process runs.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Whether this replica can do its job, and if not, why.
pub(super) async fn ready(State(parts): State<Parts>) -> (StatusCode, String) {
    let status = if parts.readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, parts.readiness.body())
}

pub(super) async fn metrics(State(parts): State<Parts>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match (parts.metrics)() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

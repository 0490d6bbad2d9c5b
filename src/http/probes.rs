//! Liveness and readiness probes.

use axum::{extract::State, http::StatusCode};

use super::Parts;

pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// 200 or 503, with the causes.
pub(super) async fn ready(State(parts): State<Parts>) -> (StatusCode, String) {
    let status = if parts.readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, parts.readiness.body())
}

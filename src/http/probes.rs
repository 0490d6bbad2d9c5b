//! Probes for orchestrators.

use axum::{extract::State, http::StatusCode};

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

//! Error responses (RFC 6749 section 5.2).

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::json_response;
use crate::grpc::bearer::allowed_characters;

/// An error response.
#[derive(Debug)]
pub(super) struct OAuthError {
    status: StatusCode,
    code: &'static str,
    description: String,
    retry_after: Option<Duration>,
}

impl OAuthError {
    pub(super) fn new(status: StatusCode, code: &'static str, description: impl Into<String>) -> Self {
        Self { status, code, description: description.into(), retry_after: None }
    }

    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    pub(super) fn invalid_client(description: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description)
    }

    /// The error of a gRPC method. The description begins with its reason, as `docs/errors.md` lists it.
    pub(super) fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.as_str()).unwrap_or_default();
        let field = details
            .bad_request()
            .and_then(|request| request.field_violations.first())
            .map_or_else(|| status.message(), |violation| violation.field.as_str());
        let (http_status, code) = match status.code() {
            Code::Unauthenticated if reason.starts_with("REFRESH_TOKEN_") => {
                (StatusCode::BAD_REQUEST, "invalid_grant")
            }
            Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Code::PermissionDenied => (
                StatusCode::BAD_REQUEST,
                match reason {
                    "AUDIENCE_NOT_ALLOWED" => "invalid_target",
                    "SCOPE_NOT_ALLOWED" => "invalid_scope",
                    _ => "unauthorized_client",
                },
            ),
            Code::InvalidArgument if field.starts_with("audiences") => {
                (StatusCode::BAD_REQUEST, "invalid_target")
            }
            Code::InvalidArgument if field.starts_with("scopes") => {
                (StatusCode::BAD_REQUEST, "invalid_scope")
            }
            // RFC 8693 section 2.2.2: also for a subject or actor token that is not valid.
            Code::InvalidArgument | Code::FailedPrecondition if reason != "NO_ACTIVE_KEY" => {
                (StatusCode::BAD_REQUEST, "invalid_request")
            }
            Code::ResourceExhausted if reason == "REQUEST_TOO_LARGE" => {
                (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request")
            }
            Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
            Code::Unavailable | Code::DeadlineExceeded => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        };
        let description = if reason.is_empty() {
            status.message().to_owned()
        } else {
            format!("{reason}: {}", status.message())
        };
        let retry_after = details.retry_info().and_then(|info| info.retry_delay);
        Self { retry_after, ..Self::new(http_status, code, description) }
    }

    /// The HTTP status.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The description, for an error that is not sent as JSON.
    pub(super) fn description(&self) -> String {
        allowed_characters(&self.description)
    }

    /// Seconds after which a retry may succeed (RFC 9110 section 10.2.3).
    pub(super) fn retry_after(&self) -> Option<HeaderValue> {
        // A part of a second counts as a whole one: 0 would mean that a retry may follow at once.
        self.retry_after.map(|delay| HeaderValue::from(delay.as_secs().saturating_add(1)))
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let retry_after = self.retry_after();
        let body = json!({ "error": self.code, "error_description": self.description() });
        let mut response = json_response(self.status, &body);
        let headers = response.headers_mut();
        if let Some(retry_after) = retry_after {
            headers.insert(RETRY_AFTER, retry_after);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                WWW_AUTHENTICATE,
                const { HeaderValue::from_static("Basic realm=\"tokend\", charset=\"UTF-8\"") },
            );
        }
        response
    }
}

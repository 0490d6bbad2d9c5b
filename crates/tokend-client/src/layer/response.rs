//! The responses to rejected requests: a gRPC status, or an HTTP status with `WWW-Authenticate` (RFC 6750 section 3).

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tonic::Status;

use crate::VerifyError;

/// How long a client should wait when tokens cannot be verified, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// The response in the protocol of the request, which is gRPC if its content type is.
pub(super) fn rejection<B: Default>(error: VerifyError, request: &HeaderMap) -> Response<B> {
    tracing::debug!(%error, "a request was rejected");
    if is_grpc(request) { Status::from(error).into_http() } else { http_response(&error) }
}

/// Whether a request is gRPC, by its content type.
pub(crate) fn is_grpc(request: &HeaderMap) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    request.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(GRPC))
}

/// The response over HTTP, without a body.
pub(crate) fn http_response<B: Default>(error: &VerifyError) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = match error {
        VerifyError::Malformed => StatusCode::BAD_REQUEST,
        VerifyError::Missing | VerifyError::Rejected { .. } => StatusCode::UNAUTHORIZED,
        VerifyError::InsufficientScope { .. } => StatusCode::FORBIDDEN,
        VerifyError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let (name, value) = match challenge(error) {
        Some(challenge) => (header::WWW_AUTHENTICATE, HeaderValue::try_from(challenge).ok()),
        None => (header::RETRY_AFTER, Some(RETRY_AFTER)),
    };
    response.headers_mut().insert(name, value.unwrap_or(HeaderValue::from_static("Bearer")));
    response
}

/// The challenge. A request without a token gets no error code (RFC 6750 section 3.1).
fn challenge(error: &VerifyError) -> Option<String> {
    Some(match error {
        VerifyError::Missing => "Bearer".to_owned(),
        VerifyError::Malformed => described("invalid_request", "one authorization header is required"),
        VerifyError::Rejected { detail, .. } => described("invalid_token", detail),
        VerifyError::InsufficientScope { scope } => {
            format!(
                "{}, scope=\"{}\"",
                described("insufficient_scope", "the token lacks a scope"),
                quotable(scope)
            )
        }
        VerifyError::Unavailable(_) => return None,
    })
}

fn described(code: &str, description: &str) -> String {
    format!("Bearer error=\"{code}\", error_description=\"{}\"", quotable(description))
}

/// The text with the characters that RFC 6750 section 3 allows in a value.
fn quotable(text: &str) -> String {
    text.chars()
        .filter(|character| matches!(character, ' '..='~') && !matches!(character, '"' | '\\'))
        .collect()
}

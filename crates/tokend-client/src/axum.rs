//! Integration with axum: errors as responses, and claims as an extractor.

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::request::Parts;

use crate::{Claims, VerifyError, layer::http_response};

impl IntoResponse for VerifyError {
    fn into_response(self) -> Response {
        http_response(&self)
    }
}

/// The claims that [`AuthLayer`](crate::AuthLayer) has put into the request. Without the layer the response is 401.
impl<S: Sync> FromRequestParts<S> for Claims {
    type Rejection = VerifyError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, VerifyError> {
        parts.extensions.get::<Self>().cloned().ok_or(VerifyError::Missing)
    }
}

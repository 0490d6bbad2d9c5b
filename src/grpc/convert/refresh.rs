//! Messages of RefreshToken.

use super::{Checked, scalar};
use crate::{
    model::{RefreshRequest, Violations},
    proto::v1,
};

/// The longest accepted refresh token, in bytes: far longer than any that tokend issues.
const MAX_LENGTH: usize = 4096;

/// Reads a RefreshTokenRequest. A malformed refresh token is no violation here: it is rejected as an unknown one is.
pub(in crate::grpc) fn refresh_request(message: v1::RefreshTokenRequest) -> Checked<RefreshRequest> {
    let mut violations = Violations::default();
    if message.refresh_token.is_empty() || message.refresh_token.len() > MAX_LENGTH {
        violations.add("refresh_token", format!("must be 1 to {MAX_LENGTH} bytes"));
    }
    scalar::check_audiences(&message.audiences, "audiences", &mut violations);
    scalar::check_scopes(&message.scopes, "scopes", &mut violations);
    scalar::request_id(&message.request_id, &mut violations);
    let value = RefreshRequest {
        refresh_token: message.refresh_token,
        audiences: message.audiences,
        scopes: message.scopes,
        request_id: message.request_id,
    };
    Checked { value, violations }
}

//! RefreshToken's messages.

use super::{Checked, scalar};
use crate::{
    model::{RefreshRequest, Violations},
    proto::v1,
};

/// The longest text that is looked at as a refresh token, in bytes: far longer than one is.
const LONGEST: usize = 4096;

/// Reads a RefreshTokenRequest. Whether the refresh token has the form of one is not said here: it is good or it is not.
pub(in crate::grpc) fn refresh_request(message: v1::RefreshTokenRequest) -> Checked<RefreshRequest> {
    let mut violations = Violations::default();
    if message.refresh_token.is_empty() || message.refresh_token.len() > LONGEST {
        violations.add("refresh_token", format!("must be 1 to {LONGEST} bytes"));
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

/// The token answer of RefreshToken, which is that of IssueToken.
pub(in crate::grpc) fn refresh_answer(answer: v1::IssueTokenResponse) -> v1::RefreshTokenResponse {
    v1::RefreshTokenResponse {
        access_token: answer.access_token,
        token_type: answer.token_type,
        issue_time: answer.issue_time,
        expire_time: answer.expire_time,
        expires_in: answer.expires_in,
        scopes: answer.scopes,
        jwt_id: answer.jwt_id,
        key_id: answer.key_id,
        refresh_token: answer.refresh_token,
        refresh_token_expire_time: answer.refresh_token_expire_time,
    }
}

//! Login's messages.

use super::{Checked, scalar};
use crate::{
    model::{LoginRequest, Password, Username, Violations},
    proto::v1,
};

/// Reads a LoginRequest.
pub(in crate::grpc) fn login_request(message: v1::LoginRequest) -> Checked<LoginRequest> {
    let mut violations = Violations::default();
    let username = violations.check("username", Username::parse(&message.username));
    let password = Password::typed(message.password).filter(|password| !password.is_empty());
    if password.is_none() {
        violations.add("password", "must be 1 to 1,024 bytes");
    }
    scalar::check_audiences(&message.audiences, "audiences", &mut violations);
    scalar::check_scopes(&message.scopes, "scopes", &mut violations);
    let value = LoginRequest {
        username: username.unwrap_or_default(),
        password: password.unwrap_or_default(),
        audiences: message.audiences,
        scopes: message.scopes,
        ttl: scalar::ttl(message.ttl, "ttl", &mut violations),
        with_session: message.include_refresh_token,
    };
    Checked { value, violations }
}

/// The token answer of Login, which is that of IssueToken.
pub(in crate::grpc) fn login_answer(answer: v1::IssueTokenResponse) -> v1::LoginResponse {
    v1::LoginResponse {
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

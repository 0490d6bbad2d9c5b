//! Messages of Login.

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

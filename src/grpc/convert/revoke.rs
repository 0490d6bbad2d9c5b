//! Messages of RevokeToken and EndSession.

use super::{Checked, scalar};
use crate::{
    model::{ClientId, RevokeTarget, SessionId, UnixTime, Violations, holds_credential, is_revocable},
    proto::v1::{self, revoke_token_request::Target},
};

/// The longest reason, in bytes.
const MAX_REASON: usize = 255;

/// The longest text that is searched for a credential, in bytes.
const MAX_CREDENTIAL: usize = 16 * 1024;

/// Reads a RevokeTokenRequest: the target, if the request names one.
pub(in crate::grpc) fn revoke_request(message: v1::RevokeTokenRequest) -> Checked<Option<RevokeTarget>> {
    let mut violations = Violations::default();
    scalar::request_id(&message.request_id, &mut violations);
    if message.reason.len() > MAX_REASON || message.reason.chars().any(char::is_control) {
        violations.add("reason", "must be at most 255 bytes of text without control characters");
    }
    let value = match message.target {
        Some(Target::Token(token)) => {
            if token.is_empty() {
                violations.add("token", "must not be empty");
            }
            Some(RevokeTarget::Token(token))
        }
        Some(Target::JwtId(jwt_id)) => {
            if check_no_credential(&jwt_id, "jwt_id", &mut violations) && !is_revocable(&jwt_id) {
                violations.add("jwt_id", "must be 1 to 255 bytes of text without U+0000");
            }
            Some(RevokeTarget::JwtId(jwt_id))
        }
        Some(Target::Subject(target)) => {
            if check_no_credential(&target.subject, "subject.subject", &mut violations) {
                scalar::check_text(&target.subject, "subject.subject", &mut violations);
            }
            let before = target.issued_before_time;
            let before = scalar::instant(before, "subject.issued_before_time", &mut violations);
            Some(RevokeTarget::Subject(target.subject, before))
        }
        Some(Target::ClientId(client_id)) => {
            violations.check("client_id", ClientId::parse(client_id)).map(RevokeTarget::Client)
        }
        Some(Target::SessionId(session_id)) => {
            violations.check("session_id", SessionId::parse(session_id)).map(RevokeTarget::Session)
        }
        None => {
            let description =
                "must be given: one of `token`, `jwt_id`, `subject`, `client_id` and `session_id`";
            violations.add("target", description);
            None
        }
    };
    Checked { value, violations }
}

/// Reads an EndSessionRequest.
pub(in crate::grpc) fn end_session_request(message: v1::EndSessionRequest) -> Checked<Option<RevokeTarget>> {
    let v1::EndSessionRequest { session_id, reason, request_id } = message;
    let target = Some(Target::SessionId(session_id));
    revoke_request(v1::RevokeTokenRequest { target, reason, request_id })
}

/// Rejects a credential in a field for an id: the call would succeed, and the token would stay valid.
fn check_no_credential(text: &str, field: &str, violations: &mut Violations) -> bool {
    // Longer text is neither an accepted token nor an accepted id.
    let holds_none = text.len() > MAX_CREDENTIAL || !holds_credential(text);
    if !holds_none {
        violations.add(field, "must not be a token or a secret; to revoke a token, set `token`");
    }
    holds_none
}

/// The response of RevokeToken.
pub(in crate::grpc) const fn revoke_response(revoke_time: UnixTime) -> v1::RevokeTokenResponse {
    v1::RevokeTokenResponse { revoke_time: Some(scalar::timestamp(revoke_time)) }
}

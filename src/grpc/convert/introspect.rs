//! Messages of IntrospectToken.

use super::{Checked, json, scalar, verify};
use crate::{
    model::{IntrospectRequest, Session, Violations},
    proto::v1,
    tokens::IntrospectedToken,
};

/// Reads an IntrospectTokenRequest.
pub(in crate::grpc) fn introspect_request(message: v1::IntrospectTokenRequest) -> Checked<IntrospectRequest> {
    let mut violations = Violations::default();
    if message.token.is_empty() {
        violations.add("token", "must not be empty");
    }
    scalar::check_audiences(&message.audiences, "audiences", &mut violations);
    scalar::check_issuers(&message.issuers, "issuers", &mut violations);
    let value =
        IntrospectRequest { token: message.token, audiences: message.audiences, issuers: message.issuers };
    Checked { value, violations }
}

/// The response for a token; for an invalid one, `active` is false and nothing else is set (RFC 7662 section 2.2). `issuer` is that of
/// refresh tokens.
pub(in crate::grpc) fn introspect_response(
    token: Option<IntrospectedToken>,
    issuer: &str,
) -> v1::IntrospectTokenResponse {
    let (claims, members, claims_json, token_type) = match token {
        None => return v1::IntrospectTokenResponse::default(),
        Some(IntrospectedToken::Access(claims, members, payload)) => {
            (verify::token_claims(claims), Some(json::to_struct(&members)), payload, "Bearer")
        }
        Some(IntrospectedToken::Refresh(session)) => {
            (refresh_claims(session, issuer), None, String::new(), "refresh_token")
        }
    };
    v1::IntrospectTokenResponse {
        active: true,
        token_claims: Some(claims),
        claims: members,
        token_type: token_type.to_owned(),
        claims_json,
    }
}

/// The claims of a refresh token, which has no payload, as JSON.
pub(crate) fn session_claims(claims: &v1::TokenClaims) -> String {
    serde_json::json!({
        "iss": claims.issuer,
        "sub": claims.subject,
        "aud": claims.audiences,
        "exp": claims.expire_time.map(|time| time.seconds),
        "iat": claims.issue_time.map(|time| time.seconds),
        "client_id": claims.client_id,
        "scope": claims.scopes.join(" "),
    })
    .to_string()
}

/// The claims of a refresh token: those of its session.
fn refresh_claims(session: Session, issuer: &str) -> v1::TokenClaims {
    v1::TokenClaims {
        issuer: issuer.to_owned(),
        subject: session.subject,
        audiences: session.scope.audiences,
        expire_time: Some(scalar::timestamp(session.idle_expire_time)),
        issue_time: Some(scalar::timestamp(session.refresh_time)),
        client_id: session.client_id.as_str().to_owned(),
        scopes: session.scope.scopes,
        ..v1::TokenClaims::default()
    }
}

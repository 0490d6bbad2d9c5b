//! Messages of IssueToken, Login and RefreshToken, and the response with a token.

use super::{Checked, json, scalar};
use crate::{
    jose,
    model::{ExtraClaims, IssueRequest, LoginRequest, Password, RefreshRequest, Username, Violations},
    proto::v1,
    tokens::{FreshRefreshToken, IssuedToken},
};

/// The longest accepted refresh token, in bytes: far longer than any that tokend issues.
const MAX_REFRESH_TOKEN: usize = 4096;

/// Reads an IssueTokenRequest.
pub(in crate::grpc) fn issue_request(message: v1::IssueTokenRequest) -> Checked<IssueRequest> {
    let mut violations = Violations::default();
    let subject = Some(message.subject).filter(|subject| !subject.is_empty());
    if let Some(subject) = &subject {
        scalar::check_text(subject, "subject", &mut violations);
    }
    scalar::check_audiences(&message.audiences, "audiences", &mut violations);
    scalar::check_scopes(&message.scopes, "scopes", &mut violations);
    scalar::request_id(&message.request_id, &mut violations);
    if message.include_refresh_token && message.not_before_time.is_some() {
        // The refresh token could be exchanged at once for a token that is valid at once.
        violations.add("not_before_time", "must not be given together with `include_refresh_token`");
    }
    let value = IssueRequest {
        subject,
        audiences: message.audiences,
        scopes: message.scopes,
        ttl: scalar::ttl(message.ttl, "ttl", &mut violations),
        not_before_time: scalar::instant(message.not_before_time, "not_before_time", &mut violations),
        claims: extra_claims(message.claims, &message.claims_json, &mut violations),
        with_session: message.include_refresh_token,
    };
    Checked { value, violations }
}

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

/// Reads a RefreshTokenRequest. A malformed refresh token is no violation here: it is rejected as an unknown one is.
pub(in crate::grpc) fn refresh_request(message: v1::RefreshTokenRequest) -> Checked<RefreshRequest> {
    let mut violations = Violations::default();
    if message.refresh_token.is_empty() || message.refresh_token.len() > MAX_REFRESH_TOKEN {
        violations.add("refresh_token", format!("must be 1 to {MAX_REFRESH_TOKEN} bytes"));
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

/// Reads the extra claims, from `claims` or from `claims_json`.
pub(super) fn extra_claims(
    claims: Option<prost_types::Struct>,
    claims_json: &str,
    violations: &mut Violations,
) -> ExtraClaims {
    let (field, members) = match (claims, claims_json) {
        (None, "") => return ExtraClaims::default(),
        (Some(claims), "") => {
            ("claims", violations.check("claims", json::struct_members(claims)).unwrap_or_default())
        }
        (None, text) => {
            let members = violations.check("claims_json", jose::object_members(text));
            ("claims_json", members.unwrap_or_default())
        }
        (Some(_), _) => {
            violations.add("claims_json", "must not be given together with `claims`");
            return ExtraClaims::default();
        }
    };
    for (name, _) in &members {
        if name.is_empty() {
            violations.add(field, "must not hold a claim without a name");
        } else if let Some(registered) = ExtraClaims::REGISTERED.iter().find(|registered| *registered == name)
        {
            let description = format!("must not set `{registered}`, which only tokend sets");
            violations.add(format!("{field}.{registered}"), description);
        }
    }
    ExtraClaims::from_members(members)
}

/// The response with a token: IssueToken's, from which the other methods make theirs.
pub(in crate::grpc) fn token_response(
    issued: IssuedToken,
    scopes: Vec<String>,
    refresh: Option<&FreshRefreshToken>,
) -> v1::IssueTokenResponse {
    v1::IssueTokenResponse {
        access_token: issued.token,
        token_type: "Bearer".to_owned(),
        issue_time: Some(scalar::timestamp(issued.issue_time)),
        expire_time: Some(scalar::timestamp(issued.expire_time)),
        expires_in: Some(scalar::duration_message(issued.expire_time.since(issued.issue_time))),
        scopes,
        jwt_id: issued.jwt_id.as_str().to_owned(),
        key_id: issued.key_id.as_str().to_owned(),
        refresh_token: refresh.map(|refresh| refresh.text.to_string()).unwrap_or_default(),
        refresh_token_expire_time: refresh.map(|refresh| scalar::timestamp(refresh.expire_time)),
    }
}

macro_rules! from_token_response {
    ($($response:ident { $($other:ident)? })*) => {
        $(impl From<v1::IssueTokenResponse> for v1::$response {
            fn from(token: v1::IssueTokenResponse) -> Self {
                Self {
                    access_token: token.access_token,
                    token_type: token.token_type,
                    issue_time: token.issue_time,
                    expire_time: token.expire_time,
                    expires_in: token.expires_in,
                    scopes: token.scopes,
                    jwt_id: token.jwt_id,
                    key_id: token.key_id,
                    refresh_token: token.refresh_token,
                    refresh_token_expire_time: token.refresh_token_expire_time,
                    $($other: String::new(),)?
                }
            }
        })*
    };
}
from_token_response!(LoginResponse {} RefreshTokenResponse {} ExchangeTokenResponse { issued_token_type });

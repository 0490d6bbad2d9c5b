//! `GET /verify`: checks the bearer token of a request for a reverse proxy, such as `auth_request` of nginx, `forwardAuth` of Traefik
//! and `forward_auth` of Caddy.
//!
//! The proxy authenticates by the header `x-tokend-authorization` or by a client certificate: `authorization` is that of the request.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
    header::{AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{
    OAuthServer, call_metadata,
    error::{OAuthError, allowed_characters},
    form::Parameters,
};
use crate::{model::Peer, proto::v1};

/// The credential of the proxy, in the forms of gRPC's `authorization`.
const PROXY_AUTHORIZATION: HeaderName = HeaderName::from_static("x-tokend-authorization");

/// The longest query, in bytes.
const MAX_QUERY: usize = 8192;

/// The headers of a successful response. All are always set, so that a proxy that copies them replaces each header of this name that
/// the client sent.
const CLAIM_HEADERS: [&str; 6] = [
    "x-auth-subject",
    "x-auth-client-id",
    "x-auth-scope",
    "x-auth-audience",
    "x-auth-issuer",
    "x-auth-token-id",
];

pub(super) async fn verify(
    State(server): State<OAuthServer>,
    uri: Uri,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    let query = uri.query().unwrap_or_default();
    if query.len() > MAX_QUERY {
        return (StatusCode::URI_TOO_LONG, "the query is too long\n").into_response();
    }
    let parameters = match Parameters::parse(query.as_bytes()) {
        Ok(parameters) => parameters,
        Err(problem) => return OAuthError::invalid_request(problem).into_response(),
    };
    let mut credentials = headers.get_all(&PROXY_AUTHORIZATION).iter();
    let (credential, second) = (credentials.next(), credentials.next());
    if second.is_some() {
        return OAuthError::invalid_request("x-tokend-authorization: is there more than once")
            .into_response();
    }
    let token = match bearer_token(&headers) {
        Ok(Some(token)) => token,
        Ok(None) => return challenge(StatusCode::UNAUTHORIZED, ""),
        Err(problem) => return invalid_token(problem),
    };
    let message = v1::VerifyTokenRequest {
        token,
        audiences: parameters.audiences(),
        required_scopes: parameters.scopes(),
        read_mask: Some(prost_types::FieldMask { paths: vec!["token_claims".to_owned()] }),
        ..v1::VerifyTokenRequest::default()
    };
    let peer = peer.map(|Extension(peer)| peer);
    let metadata = call_metadata(&headers, credential.cloned());
    let call = server.edge.call_unary("/tokend.v1.TokenService/VerifyToken", metadata, peer, &message);
    match call.await.result {
        Ok(verified) => accepted(verified),
        Err(status) => refused(&status, &parameters),
    }
}

/// The token of the request (RFC 6750 section 2.1). Other places of a token are not read.
fn bearer_token(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("the Authorization header is there more than once");
    }
    let text = value.to_str().map_err(|_| "the Authorization header is not ASCII text")?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => {
            Ok(Some(token.to_owned()))
        }
        // Another scheme is no token.
        _ => Ok(None),
    }
}

fn accepted(verified: v1::VerifyTokenResponse) -> Response {
    let claims = verified.token_claims.unwrap_or_default();
    let list = |values: Vec<String>| values.iter().map(|value| encoded(value)).collect::<Vec<_>>().join(" ");
    let values = [
        encoded(&claims.subject),
        encoded(&claims.client_id),
        list(claims.scopes),
        list(claims.audiences),
        encoded(&claims.issuer),
        encoded(&claims.jwt_id),
    ];
    let mut response = (StatusCode::OK, [(CACHE_CONTROL, "no-store")]).into_response();
    for (name, value) in CLAIM_HEADERS.into_iter().zip(values) {
        let value = HeaderValue::try_from(value).unwrap_or(const { HeaderValue::from_static("") });
        response.headers_mut().insert(name, value);
    }
    response
}

/// A claim for a header: percent-encodes `%` and all characters that are not visible ASCII. A blank at an end would be lost, and a line
/// end would begin another header.
fn encoded(claim: &str) -> String {
    let mut text = String::with_capacity(claim.len());
    for byte in claim.bytes() {
        match byte {
            0x21..=0x7e if byte != b'%' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

/// A rejected token is the client's fault: 401 or 403. Any other failure is not, and must not be taken for it.
fn refused(status: &Status, parameters: &Parameters) -> Response {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str()).unwrap_or_default();
    let error = OAuthError::of(status);
    match (status.code(), reason) {
        (Code::InvalidArgument, "TOKEN_SCOPE_INSUFFICIENT") => {
            let scope = allowed_characters(&parameters.scopes().join(" "));
            let parameters = format!(
                ", error=\"insufficient_scope\", error_description=\"{}\", scope=\"{scope}\"",
                error.description()
            );
            challenge(StatusCode::FORBIDDEN, &parameters)
        }
        (Code::InvalidArgument, reason) if reason.starts_with("TOKEN_") => {
            invalid_token(&error.description())
        }
        (Code::Unauthenticated | Code::PermissionDenied, _) => {
            let text = format!("the call of the proxy failed: {}\n", error.description());
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
        _ => {
            let mut response = (error.status(), format!("{}\n", error.description())).into_response();
            response.headers_mut().extend(error.retry_after().map(|value| (RETRY_AFTER, value)));
            response
        }
    }
}

fn invalid_token(description: &str) -> Response {
    let parameters = format!(", error=\"invalid_token\", error_description=\"{description}\"");
    challenge(StatusCode::UNAUTHORIZED, &parameters)
}

/// A challenge (RFC 6750 section 3). Without a token it names no error.
fn challenge(status: StatusCode, parameters: &str) -> Response {
    let mut response = (status, [(CACHE_CONTROL, "no-store")]).into_response();
    if let Ok(value) = HeaderValue::try_from(format!("Bearer realm=\"tokend\"{parameters}")) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn claims_cannot_inject_headers() {
        for (claim, value) in [
            ("alice", "alice"),
            (" alice ", "%20alice%20"),
            ("a\r\nx-admin: 1", "a%0D%0Ax-admin:%201"),
            ("100%", "100%25"),
            ("zoë\u{7f}", "zo%C3%AB%7F"),
        ] {
            assert_eq!(encoded(claim), value);
        }
    }
}

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

use super::{OAuthServer, call_metadata, error::OAuthError, form::Parameters};
use crate::{
    grpc::bearer::{self, CLAIM_HEADERS, Rejection},
    model::Peer,
    proto::v1,
};

/// The credential of the proxy, in the forms of gRPC's `authorization`.
const PROXY_AUTHORIZATION: HeaderName = HeaderName::from_static("x-tokend-authorization");

/// The longest query, in bytes.
const MAX_QUERY: usize = 8192;

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
        Ok(token) => token,
        Err(rejection) => return rejected(&rejection),
    };
    let scopes = parameters.scopes();
    let message = v1::VerifyTokenRequest {
        token,
        audiences: parameters.audiences(),
        required_scopes: scopes.clone(),
        read_mask: Some(prost_types::FieldMask { paths: vec!["token_claims".to_owned()] }),
        ..v1::VerifyTokenRequest::default()
    };
    let peer = peer.map(|Extension(peer)| peer);
    let metadata = call_metadata(&headers, credential.cloned());
    let call = server.edge.call_unary("/tokend.v1.TokenService/VerifyToken", metadata, peer, &message);
    match call.await {
        Ok(verified) => accepted(verified),
        Err(status) => failed(&status, &scopes),
    }
}

/// The bearer token of the request. Other places of a token are not read.
fn bearer_token(headers: &HeaderMap) -> Result<String, Rejection> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Rejection::NoToken)?;
    if values.next().is_some() {
        return Err(Rejection::InvalidToken("the Authorization header is there more than once".to_owned()));
    }
    let text = value.to_str().ok().and_then(bearer::token);
    text.map(str::to_owned).ok_or(Rejection::NoToken)
}

/// All headers are always set, so that a proxy that copies them replaces each header of this name that the client sent.
fn accepted(verified: v1::VerifyTokenResponse) -> Response {
    let claims = bearer::claim_headers(&verified.token_claims.unwrap_or_default());
    let mut response = (StatusCode::OK, [(CACHE_CONTROL, "no-store")]).into_response();
    for (name, value) in CLAIM_HEADERS.into_iter().zip(claims) {
        let value = HeaderValue::try_from(value).unwrap_or(const { HeaderValue::from_static("") });
        response.headers_mut().insert(name, value);
    }
    response
}

/// A rejected token is the client's fault: 401 or 403. Any other failure is not, and must not be taken for it.
fn failed(status: &Status, scopes: &[String]) -> Response {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str()).unwrap_or_default();
    let error = OAuthError::of(status);
    match status.code() {
        Code::InvalidArgument if reason.starts_with("TOKEN_") => {
            rejected(&Rejection::of(reason, status.message(), scopes))
        }
        Code::Unauthenticated | Code::PermissionDenied => {
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

fn rejected(rejection: &Rejection) -> Response {
    let status = StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::UNAUTHORIZED);
    let mut response = (status, [(CACHE_CONTROL, "no-store")]).into_response();
    if let Ok(value) = HeaderValue::try_from(rejection.challenge()) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}

//! OAuth 2.0 over HTTP, for callers without gRPC: `/oauth2/token`, `/oauth2/introspect`, `/oauth2/revoke`, and `/verify` for reverse
//! proxies.
//!
//! May import `grpc` and everything below. Invariant: each request becomes a call of the gRPC method that does the same, so that
//! authentication, policy, limits and audit have one path.

mod credential;
mod error;
mod form;
mod forward_auth;
mod introspect;
mod token;

use std::{collections::BTreeSet, time::Duration};

use axum::{
    Router,
    body::{self, Body},
    extract::{Request, State},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE},
};
use prost::Message;
use serde::Serialize;

use self::{error::OAuthError, form::Parameters};
use crate::{
    grpc::{Edge, InProcessResponse},
    http::OAuthMetadata,
    model::Peer,
};

const TOKEN: &str = "/oauth2/token";
const INTROSPECT: &str = "/oauth2/introspect";
const REVOKE: &str = "/oauth2/revoke";
const VERIFY: &str = "/verify";

/// The longest form, in bytes: an exchange has two tokens.
const MAX_FORM: usize = 64 * 1024;

/// How long a form may take to arrive.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// The headers of a request that are metadata of its call.
const PASSED_HEADERS: [&str; 3] = ["x-request-id", "traceparent", "tracestate"];

#[derive(Clone)]
struct OAuthServer {
    edge: Edge,
}

/// A form with its sender.
struct OAuthRequest {
    form: Parameters,
    metadata: HeaderMap,
    peer: Option<Peer>,
}

/// The endpoints of an issuer, for its metadata documents. `mutual_tls`: whether the HTTP port requests client certificates.
pub fn metadata(issuer: &str, mutual_tls: bool) -> OAuthMetadata {
    let mut methods = vec!["client_secret_basic", "client_secret_post", "private_key_jwt"];
    methods.extend(mutual_tls.then_some("tls_client_auth"));
    let url = |path| format!("{issuer}{path}");
    OAuthMetadata::new([url(TOKEN), url(INTROSPECT), url(REVOKE)], &token::GRANT_TYPES, methods)
}

/// An endpoint that takes a form.
#[derive(Clone, Copy)]
enum Endpoint {
    Token,
    Introspect,
    Revoke,
}

/// The routes, at the root and below the path of the issuer's URL.
pub fn routes(edge: &Edge, issuer_path: &str) -> Router {
    let endpoint = |endpoint| {
        post(async move |State(server): State<OAuthServer>, request: Request| {
            server.answer(endpoint, OAuthRequest::read(request).await?).await
        })
    };
    // A path of a URL may have a segment that begins with `:`, which is not a parameter.
    let mut router = Router::new().without_v07_checks();
    for prefix in BTreeSet::from(["", issuer_path]) {
        router = router
            .route(&format!("{prefix}{TOKEN}"), endpoint(Endpoint::Token))
            .route(&format!("{prefix}{INTROSPECT}"), endpoint(Endpoint::Introspect))
            .route(&format!("{prefix}{REVOKE}"), endpoint(Endpoint::Revoke))
            .route(&format!("{prefix}{VERIFY}"), get(forward_auth::verify));
    }
    router.with_state(OAuthServer { edge: edge.clone() })
}

impl OAuthServer {
    async fn answer(&self, endpoint: Endpoint, request: OAuthRequest) -> Result<Response, OAuthError> {
        match endpoint {
            Endpoint::Token => token::token(self, &request).await,
            Endpoint::Introspect => introspect::introspect(self, &request).await,
            Endpoint::Revoke => introspect::revoke(self, &request).await,
        }
    }

    async fn call<Q: Message, M: Message + Default>(
        &self,
        path: &'static str,
        request: &OAuthRequest,
        message: &Q,
    ) -> Result<M, OAuthError> {
        let call = self.edge.call_unary(path, request.metadata.clone(), request.peer.clone(), message);
        let InProcessResponse { result, .. } = call.await;
        result.map_err(|status| OAuthError::of(&status))
    }
}

impl OAuthRequest {
    async fn read(request: Request) -> Result<Self, OAuthError> {
        let (parts, body) = request.into_parts();
        if parts.uri.query().is_some() {
            // RFC 6749 section 3.2: credentials in a URI would be logged.
            return Err(OAuthError::invalid_request("the parameters must be in the body, not in the query"));
        }
        if !is_form(&parts.headers) {
            return Err(OAuthError::invalid_request(
                "Content-Type: must be application/x-www-form-urlencoded",
            ));
        }
        let body = read_body(body).await?;
        let form = Parameters::parse(&body).map_err(OAuthError::invalid_request)?;
        let peer = parts.extensions.get::<Peer>().cloned();
        let authorization = credential::authorization(&parts.headers, &form, peer.as_ref())?;
        let metadata = call_metadata(&parts.headers, authorization);
        Ok(Self { form, metadata, peer })
    }

    fn required(&self, name: &'static str) -> Result<String, OAuthError> {
        let value = self.form.get(name).map(str::to_owned);
        value.ok_or_else(|| OAuthError::invalid_request(format!("{name}: is missing")))
    }
}

async fn read_body(body: Body) -> Result<bytes::Bytes, OAuthError> {
    let read = body::to_bytes(body, MAX_FORM);
    match tokio::time::timeout(FORM_TIMEOUT, read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(OAuthError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request",
            format!("the form is longer than {MAX_FORM} bytes, or incomplete"),
        )),
        Err(_elapsed) => Err(OAuthError::new(
            StatusCode::REQUEST_TIMEOUT,
            "invalid_request",
            format!("the form did not arrive within {} seconds", FORM_TIMEOUT.as_secs()),
        )),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let essence = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        text.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    };
    values.next().is_some_and(essence) && values.next().is_none()
}

/// The metadata of a call: the credential, and the ids of request and trace.
fn call_metadata(headers: &HeaderMap, authorization: Option<HeaderValue>) -> HeaderMap {
    let mut metadata = HeaderMap::new();
    for name in PASSED_HEADERS {
        if let Some(value) = headers.get(name) {
            metadata.insert(HeaderName::from_static(name), value.clone());
        }
    }
    metadata.extend(authorization.map(|value| (AUTHORIZATION, value)));
    metadata
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => {
            let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
            (status, headers, text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

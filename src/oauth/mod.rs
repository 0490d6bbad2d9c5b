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

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::BodyExt as _;
use prost::Message;
use serde::Serialize;

use self::{error::OAuthError, form::Parameters};
use crate::{
    grpc::Edge,
    http::OAuthMetadata,
    listen::{CallMemory, Reservation},
    model::{NoRoom, Peer},
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
    memory: Arc<CallMemory>,
}

/// A form with its sender.
struct OAuthRequest {
    form: Parameters,
    metadata: HeaderMap,
    peer: Option<Peer>,
    /// The memory of the form, until the request is answered.
    _memory: Reservation,
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

/// The routes, at the root and below the path of the issuer's URL. Forms count as `memory` of calls.
pub fn routes(edge: &Edge, memory: &Arc<CallMemory>, issuer_path: &str) -> Router {
    let endpoint = |endpoint| {
        post(async move |State(server): State<OAuthServer>, request: Request| {
            server.answer(endpoint, OAuthRequest::read(request, &server.memory).await?).await
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
    router.with_state(OAuthServer { edge: edge.clone(), memory: Arc::clone(memory) })
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
        call.await.map_err(|status| OAuthError::of(&status))
    }
}

impl OAuthRequest {
    async fn read(request: Request, memory: &Arc<CallMemory>) -> Result<Self, OAuthError> {
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
        let peer = parts.extensions.get::<Peer>().cloned();
        let address = peer.as_ref().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.address);
        let memory = memory.source(address).reserve_call(0).map_err(no_room)?;
        let body = read_body(body, &memory).await?;
        let form = Parameters::parse(&body).map_err(OAuthError::invalid_request)?;
        let authorization = credential::authorization(&parts.headers, &form, peer.as_ref())?;
        let metadata = call_metadata(&parts.headers, authorization);
        Ok(Self { form, metadata, peer, _memory: memory })
    }

    fn required(&self, name: &'static str) -> Result<String, OAuthError> {
        let value = self.form.get(name).map(str::to_owned);
        value.ok_or_else(|| OAuthError::invalid_request(format!("{name}: is missing")))
    }
}

async fn read_body(mut body: Body, memory: &Reservation) -> Result<Vec<u8>, OAuthError> {
    let error = |status, description| OAuthError::new(status, "invalid_request", description);
    let read = async {
        let mut form = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| OAuthError::invalid_request("the form is incomplete"))?;
            let Some(data) = frame.data_ref() else { continue };
            if form.len() + data.len() > MAX_FORM {
                let description = format!("the form is longer than {MAX_FORM} bytes");
                return Err(error(StatusCode::PAYLOAD_TOO_LARGE, description));
            }
            memory.add_message(data.len()).map_err(no_room)?;
            form.extend_from_slice(data);
        }
        Ok(form)
    };
    tokio::time::timeout(FORM_TIMEOUT, read).await.unwrap_or_else(|_elapsed| {
        let description = format!("the form did not arrive within {} seconds", FORM_TIMEOUT.as_secs());
        Err(error(StatusCode::REQUEST_TIMEOUT, description))
    })
}

fn no_room(error: NoRoom) -> OAuthError {
    let description = format!("MEMORY_EXHAUSTED: {error}");
    OAuthError::new(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", description)
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
    if let Some(mut value) = authorization {
        // Keeps it out of `Debug`.
        value.set_sensitive(true);
        metadata.insert(AUTHORIZATION, value);
    }
    metadata
}

fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => {
            let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
            (status, headers, text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

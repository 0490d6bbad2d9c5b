//! The JWK set (RFC 7517) and the discovery documents (OpenID Connect Discovery 1.0 section 4, RFC 8414).

use std::time::Duration;

use axum::{
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::Parts;
use crate::keys;

/// Where things are.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// `iss` of every token.
    pub issuer: String,
    /// Where the JWK set is.
    pub jwks_uri: String,
}

pub(super) async fn jwk_set(State(parts): State<Parts>, headers: HeaderMap) -> Response {
    let document = parts.ring.jwk_set();
    cached(
        &headers,
        "application/jwk-set+json",
        document.json.clone(),
        &document.etag,
        parts.ring.max_age(&document),
    )
}

pub(super) async fn discovery(State(parts): State<Parts>, headers: HeaderMap) -> Response {
    let keys = parts.ring.jwk_set();
    let document = Document {
        issuer: &parts.discovery.issuer,
        jwks_uri: &parts.discovery.jwks_uri,
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: &keys.algorithms,
    };
    match serde_json::to_string(&document) {
        Ok(json) => {
            let etag = keys::etag(&json);
            cached(&headers, "application/json", json, &etag, parts.ring.max_age(&keys))
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The five fields that Kubernetes' own issuer serves: what validators need to find the keys.
#[derive(Serialize)]
struct Document<'d> {
    issuer: &'d str,
    jwks_uri: &'d str,
    response_types_supported: [&'static str; 1],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: &'d [&'static str],
}

/// The document, or 304 for one who has it already (RFC 9110 section 13.1.2).
fn cached(headers: &HeaderMap, content_type: &str, json: String, etag: &str, max_age: Duration) -> Response {
    let cache_control = format!("public, max-age={}", max_age.as_secs());
    let described = [(CACHE_CONTROL, cache_control), (ETAG, etag.to_owned())];
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = known.flat_map(|value| value.split(',')).map(str::trim);
    if tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag) {
        return (StatusCode::NOT_MODIFIED, described).into_response();
    }
    (described, [(CONTENT_TYPE, content_type.to_owned())], json).into_response()
}

//! The JWK set (RFC 7517) and the discovery documents (OpenID Connect Discovery 1.0 section 4, RFC 8414).

use std::time::Duration;

use axum::{
    extract::State,
    http::{
        HeaderMap, HeaderName, StatusCode, Uri,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE, ETAG,
            IF_NONE_MATCH,
        },
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use url::Url;

use super::Parts;
use crate::{keys, model::Algorithm};

/// URLs for the discovery documents.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// `iss` of every token.
    pub issuer: String,
    /// URL of the JWK set.
    pub jwks_uri: String,
    /// The endpoints of OAuth 2.0, if they are served.
    pub oauth: Option<OAuthMetadata>,
}

/// The metadata of the OAuth 2.0 endpoints (RFC 8414 section 2).
#[derive(Debug, Clone, Serialize)]
pub struct OAuthMetadata {
    token_endpoint: String,
    introspection_endpoint: String,
    revocation_endpoint: String,
    grant_types_supported: &'static [&'static str],
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    token_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    introspection_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    revocation_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
}

impl OAuthMetadata {
    /// The metadata of the endpoints for tokens, introspection and revocation. Clients authenticate by the same methods at each.
    pub fn new(
        endpoints: [String; 3],
        grant_types: &'static [&'static str],
        methods: Vec<&'static str>,
    ) -> Self {
        let [token_endpoint, introspection_endpoint, revocation_endpoint] = endpoints;
        let public = Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric());
        let algorithms: Vec<&'static str> = public.map(Algorithm::name).collect();
        Self {
            token_endpoint,
            introspection_endpoint,
            revocation_endpoint,
            grant_types_supported: grant_types,
            token_endpoint_auth_methods_supported: methods.clone(),
            introspection_endpoint_auth_methods_supported: methods.clone(),
            revocation_endpoint_auth_methods_supported: methods,
            token_endpoint_auth_signing_alg_values_supported: algorithms.clone(),
            introspection_endpoint_auth_signing_alg_values_supported: algorithms.clone(),
            revocation_endpoint_auth_signing_alg_values_supported: algorithms,
        }
    }

    /// The URL of the token endpoint.
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }
}

/// The path of the JWK set, for an issuer without a path.
pub(super) const JWK_SET: &str = "/.well-known/jwks.json";
/// The paths of the discovery documents for clients of OpenID Connect and of OAuth 2.0.
pub(super) const DISCOVERY: [&str; 2] =
    ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];

/// The documents are public, and scripts of any origin may read them.
const ANY_ORIGIN: (HeaderName, &str) = (ACCESS_CONTROL_ALLOW_ORIGIN, "*");

impl Discovery {
    /// The path of the issuer without a trailing slash: usually empty.
    pub fn issuer_path(&self) -> String {
        let path = Url::parse(&self.issuer).map(|url| url.path().to_owned()).unwrap_or_default();
        path.trim_end_matches('/').to_owned()
    }

    /// Whether `jwks_uri` is this path on the issuer's origin.
    fn announces(&self, path: &str) -> bool {
        let urls = Url::parse(&self.issuer).and_then(|issuer| Ok((issuer, Url::parse(&self.jwks_uri)?)));
        urls.is_ok_and(|(issuer, jwks)| issuer.origin() == jwks.origin() && jwks.path() == path)
    }
}

/// Documents of an issuer with a path. OpenID Connect Discovery 1.0 appends to the issuer's path (section 4); RFC 8414 inserts before
/// the path (section 3.1). Clients request either document in both ways.
pub(super) async fn issuer_document(parts: State<Parts>, uri: Uri, headers: HeaderMap) -> Response {
    match document_at(&parts.discovery, uri.path()) {
        Some(DocumentKind::JwkSet) => jwk_set(parts, headers).await,
        Some(DocumentKind::Discovery) => discovery(parts, headers).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DocumentKind {
    JwkSet,
    Discovery,
}

fn document_at(discovery: &Discovery, path: &str) -> Option<DocumentKind> {
    let issuer = discovery.issuer_path();
    let is_at = |document: &str| {
        path.strip_prefix(&issuer) == Some(document) || path.strip_prefix(document) == Some(&issuer)
    };
    if discovery.announces(path) || (!issuer.is_empty() && is_at(JWK_SET)) {
        return Some(DocumentKind::JwkSet);
    }
    (!issuer.is_empty() && DISCOVERY.into_iter().any(is_at)).then_some(DocumentKind::Discovery)
}

/// Answers a CORS preflight request of any origin (Fetch standard).
pub(super) async fn options() -> Response {
    let allowed = [
        ANY_ORIGIN,
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

/// Answers a CORS preflight request for a document of an issuer with a path.
pub(super) async fn issuer_document_options(parts: State<Parts>, uri: Uri) -> Response {
    match document_at(&parts.discovery, uri.path()) {
        Some(_) => options().await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

pub(super) async fn jwk_set(State(parts): State<Parts>, headers: HeaderMap) -> Response {
    let document = parts.ring.jwk_set();
    conditional(
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
        oauth: parts.discovery.oauth.as_ref(),
    };
    match serde_json::to_string(&document) {
        Ok(json) => {
            let etag = keys::etag(&json);
            conditional(&headers, "application/json", json, &etag, parts.ring.max_age(&keys))
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The fields that validators need to find the keys, as Kubernetes' issuer serves them, and the endpoints that are served.
#[derive(Serialize)]
struct Document<'d> {
    issuer: &'d str,
    jwks_uri: &'d str,
    response_types_supported: [&'static str; 1],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: &'d [&'static str],
    #[serde(flatten)]
    oauth: Option<&'d OAuthMetadata>,
}

/// Returns the document, or 304 if `If-None-Match` has its tag (RFC 9110 section 13.1.2).
fn conditional(
    headers: &HeaderMap,
    content_type: &str,
    json: String,
    etag: &str,
    max_age: Duration,
) -> Response {
    let cache_control = format!("public, max-age={}", max_age.as_secs());
    let headers_of_document = [
        (CACHE_CONTROL, cache_control),
        (ETAG, etag.to_owned()),
        (ANY_ORIGIN.0, ANY_ORIGIN.1.to_owned()),
        (ACCESS_CONTROL_EXPOSE_HEADERS, "etag".to_owned()),
    ];
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = known.flat_map(|value| value.split(',')).map(str::trim);
    if tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag) {
        return (StatusCode::NOT_MODIFIED, headers_of_document).into_response();
    }
    (headers_of_document, [(CONTENT_TYPE, content_type.to_owned())], json).into_response()
}

#[cfg(test)]
mod tests {
    use super::{Discovery, DocumentKind, document_at};

    #[test]
    fn documents_of_an_issuer_with_a_path_are_at_both_locations() {
        let at = |issuer: &str, jwks_uri: &str, path: &str| {
            let discovery =
                Discovery { issuer: issuer.to_owned(), jwks_uri: jwks_uri.to_owned(), oauth: None };
            document_at(&discovery, path)
        };
        let auth =
            |path| at("https://example.com/auth", "https://example.com/auth/.well-known/jwks.json", path);
        for path in [
            "/auth/.well-known/openid-configuration",
            "/auth/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/auth",
            "/.well-known/openid-configuration/auth",
        ] {
            assert_eq!(auth(path), Some(DocumentKind::Discovery), "{path}");
        }
        assert_eq!(auth("/auth/.well-known/jwks.json"), Some(DocumentKind::JwkSet));
        for path in [
            "/",
            "/auth",
            "/auth/",
            "/other/.well-known/openid-configuration",
            "/auth/auth/.well-known/openid-configuration",
            "/auth/.well-known/openid-configuration/auth",
            "/AUTH/.well-known/openid-configuration",
        ] {
            assert_eq!(auth(path), None, "{path}");
        }
        // `jwks_uri` is served if it is on the issuer's origin, and belongs to another server otherwise.
        assert_eq!(
            at("https://example.com", "https://example.com/keys", "/keys"),
            Some(DocumentKind::JwkSet)
        );
        assert_eq!(at("https://example.com", "https://cdn.example.com/keys", "/keys"), None);
        assert_eq!(at("https://example.com", "https://example.com:8443/keys", "/keys"), None);
    }
}

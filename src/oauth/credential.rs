//! The client's credential in an HTTP request (RFC 6749 section 2.3), as a gRPC call carries it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use zeroize::Zeroizing;

use super::{
    error::OAuthError,
    form::{Parameters, decode},
};
use crate::{jose::Compact, model::Peer};

/// `client_assertion_type` of a JWT (RFC 7523 section 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Returns the `authorization` metadata: from the header of this name (`client_secret_basic`, and `Bearer` as in gRPC), from `client_id`
/// and `client_secret` (`client_secret_post`), or from `client_assertion` (`private_key_jwt` and workload tokens). None for
/// `tls_client_auth`, and for a request without a credential.
///
/// # Errors
/// When the request uses more than one method, or the credential is malformed.
pub(super) fn authorization(
    headers: &HeaderMap,
    form: &Parameters,
    peer: Option<&Peer>,
) -> Result<Option<HeaderValue>, OAuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let header = values.next();
    let (secret, assertion) = (form.get("client_secret"), form.get("client_assertion"));
    let methods = [header.is_some(), secret.is_some(), assertion.is_some()];
    if values.next().is_some() || methods.into_iter().filter(|is_used| *is_used).count() > 1 {
        return Err(OAuthError::invalid_request(
            "the client authenticates in more than one way; send one of the Authorization header, client_secret, \
             and client_assertion",
        ));
    }
    let client_id = form.get("client_id");
    if let Some(header) = header {
        return from_header(header, client_id).map(Some);
    }
    if let Some(secret) = secret {
        let client_id = client_id.ok_or_else(|| {
            OAuthError::invalid_request(
                "client_id: is missing; client_secret needs it (RFC 6749 section 2.3.1)",
            )
        })?;
        return basic(client_id, secret).map(Some);
    }
    if let Some(assertion) = assertion {
        return from_assertion(assertion, form.get("client_assertion_type"), client_id).map(Some);
    }
    match client_id {
        // RFC 8705 section 2.1 requires `client_id` with a certificate; the certificate alone decides.
        Some(_) if peer.is_none_or(|peer| peer.certificate.is_none()) => {
            Err(OAuthError::invalid_client("client_id: needs a credential; tokend has no public clients"))
        }
        _ => Ok(None),
    }
}

fn from_header(header: &HeaderValue, client_id: Option<&str>) -> Result<HeaderValue, OAuthError> {
    let malformed = || {
        OAuthError::invalid_client("the Authorization header is neither Basic nor Bearer with a credential")
    };
    let text = header.to_str().map_err(|_| malformed())?;
    let (scheme, value) = text.split_once(' ').ok_or_else(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(header.clone());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = STANDARD.decode(value.trim()).map(Zeroizing::new).map_err(|_| malformed())?;
    let at = decoded.iter().position(|byte| *byte == b':').ok_or_else(malformed)?;
    let (id, secret) = decoded.split_at(at);
    // Id and secret are encoded as in a form (RFC 6749 section 2.3.1).
    let (id, secret) = decode(id).zip(secret.get(1..).and_then(decode)).ok_or_else(malformed)?;
    let secret = Zeroizing::new(secret);
    if client_id.is_some_and(|given| given != id) {
        return Err(OAuthError::invalid_request(
            "client_id: differs from the id in the Authorization header",
        ));
    }
    basic(&id, &secret)
}

/// `Basic` as gRPC callers send it: not encoded as a form.
fn basic(client_id: &str, secret: &str) -> Result<HeaderValue, OAuthError> {
    if client_id.contains(':') {
        return Err(OAuthError::invalid_client("client_id: must not contain `:`"));
    }
    let credential = Zeroizing::new(format!("{client_id}:{secret}"));
    authorization_value("Basic", &STANDARD.encode(credential.as_bytes()))
}

fn from_assertion(
    assertion: &str,
    assertion_type: Option<&str>,
    client_id: Option<&str>,
) -> Result<HeaderValue, OAuthError> {
    if assertion_type != Some(JWT_BEARER) {
        return Err(OAuthError::invalid_request(format!("client_assertion_type: must be {JWT_BEARER}")));
    }
    // RFC 7521 section 4.2: both must name the same client. The assertion of a workload names none. Nothing is trusted here: the
    // method verifies the assertion.
    let is_own = |iss: &str, sub: &str| iss == sub && client_id.is_some_and(|given| given != sub);
    let differs = Compact::parse(assertion, assertion.len()).and_then(|token| {
        let (_, claims) = token.claims()?;
        let text = |name| claims.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        Ok(is_own(&text("iss"), &text("sub")))
    });
    if differs.unwrap_or(false) {
        return Err(OAuthError::invalid_client("client_id: differs from the client of client_assertion"));
    }
    authorization_value("Bearer", assertion)
}

fn authorization_value(scheme: &str, credential: &str) -> Result<HeaderValue, OAuthError> {
    let text = Zeroizing::new(format!("{scheme} {credential}"));
    HeaderValue::from_str(&text)
        .map_err(|_| OAuthError::invalid_client("the credential has characters that no credential has"))
}

//! Fuzz targets for `fuzz/`: the parsers of untrusted input, each with the properties of an accepted input. Built with `--cfg fuzzing`.
//!
//! May import everything. Invariant: a function here panics if and only if a parser accepts what it must reject.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde_json::{Map, Value};

use crate::{
    access,
    jose::{self, Compact, ForeignHeader, Header, JsonObject, PublicKeySet, Source},
    model::{Algorithm, CREDENTIAL_PREFIXES, holds_credential, redact},
};

/// Size limit of a token.
const MAX_TOKEN_BYTES: usize = 8192;

/// Compact serialization: an accepted token has exactly one encoding.
pub fn compact(text: &str) {
    let Ok(token) = Compact::parse(text, MAX_TOKEN_BYTES) else { return };
    let parts = [&token.header, &token.payload, &token.signature].map(|part| URL_SAFE_NO_PAD.encode(part));
    assert_eq!(parts.join("."), text, "a token has one encoding");
    assert!(text.as_bytes().starts_with(token.signing_input) && text.len() <= MAX_TOKEN_BYTES);
}

/// JOSE headers: an accepted header has no extensions, and names a key.
pub fn header(bytes: &[u8]) {
    let own = Header::parse(bytes);
    let foreign = ForeignHeader::parse(bytes);
    if own.is_err() && foreign.is_err() {
        return;
    }
    let members = plain_object(bytes);
    for refused in ["crit", "b64", "zip", "enc"] {
        assert!(!members.contains_key(refused), "{refused} was accepted");
    }
    if let Ok(own) = own {
        let algorithm = members.get("alg").and_then(Value::as_str).and_then(|name| name.parse().ok());
        assert_eq!(algorithm, Some(own.algorithm));
        assert_eq!(members.get("kid").and_then(Value::as_str), Some(own.key_id.as_str()));
    }
}

/// Strict JSON: serde_json parses accepted input to the same value, and no member is duplicated.
pub fn json(bytes: &[u8]) {
    let borrowed = std::str::from_utf8(bytes).ok().and_then(|text| JsonObject::parse(text).ok());
    assert_eq!(borrowed.map(Map::from), jose::object(bytes).ok(), "both readers accept the same");
    let Ok(members) = jose::object(bytes) else { return };
    assert_eq!(members, plain_object(bytes));
    assert_eq!(count(&Value::Object(members)), names_in(bytes), "a member is duplicated");
}

/// Claims: an accepted token has `iss`, `sub`, `aud` and `exp`.
pub fn claims(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(members) = JsonObject::parse(text) else { return };
    let claim = |name: &str| members.get(name).cloned().map(Value::from);
    for is_own in [false, true] {
        if let Ok(foreign) = jose::read_foreign_claims(&members, is_own) {
            assert!(!foreign.audiences.is_empty());
            assert!(claim("iss").is_some_and(|issuer| issuer == foreign.issuer));
        }
    }
    let Ok(claims) = jose::read_claims(&members) else { return };
    assert!(!claims.subject.is_empty() && !claims.audiences.is_empty());
    assert!(claim("iss").is_some_and(|issuer| issuer == claims.issuer));
    let expires = claim("exp").and_then(|time| time.as_f64()).unwrap_or(f64::NAN);
    #[expect(clippy::cast_precision_loss, reason = "instants up to the year 9999 are exact")]
    let read = claims.expire_time.seconds() as f64;
    assert!(read <= expires && expires - read < 1.0, "{read} is not {expires}");
}

/// JWKs, JWK sets and HMAC secrets of ImportKey and of client registrations.
pub fn jwk_set(bytes: &[u8]) {
    let _ = PublicKeySet::lenient(bytes, &Algorithm::ALL);
    for algorithm in [None, Some(Algorithm::Hs256), Some(Algorithm::Es256)] {
        let _ = jose::import(Source::Secret(bytes), algorithm);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for algorithm in Algorithm::ALL {
        let _ = jose::import(Source::Jwk(text), Some(algorithm));
    }
    if PublicKeySet::strict(text).is_ok() {
        let set = plain_object(text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes());
        let keys = match set.get("keys") {
            Some(Value::Array(keys)) => keys.clone(),
            _ => vec![Value::Object(set)],
        };
        for key in keys {
            for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
                let value = key.get(private);
                let is_absent =
                    |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
                assert!(value.is_none_or(is_absent), "a private key was accepted as a public one");
            }
        }
    }
}

/// PEM blocks.
pub fn pem(text: &str) {
    let _ = jose::import(Source::Pem(text), None);
    for algorithm in Algorithm::ALL {
        if let Ok(keys) = jose::import(Source::Pem(text), Some(algorithm)) {
            assert_eq!(keys.keys.len(), 1, "one block is one key");
        }
    }
}

/// `authorization` values, one a line.
pub fn credentials(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(AUTHORIZATION, value);
        }
    }
    let count = headers.get_all(AUTHORIZATION).iter().count();
    if access::reads_credential(&headers) {
        assert_eq!(count, 1, "one credential a call");
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let scheme = value.split(' ').next().unwrap_or_default();
        assert!(scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("basic"), "{scheme}");
    }
}

/// The file of `tokend client apply`.
pub fn client_file(path: &Path) {
    let _ = crate::cli::reads_client_file(path);
}

/// Redaction: no credential remains, and redaction is idempotent.
pub fn redaction(text: &str) {
    let shown = redact(text);
    assert_eq!(redact(&shown), shown);
    for prefix in CREDENTIAL_PREFIXES {
        // A prefix with a dot can also begin a host name.
        if !prefix.ends_with('.') {
            assert!(!shown.contains(prefix), "{prefix} remains");
            assert!(holds_credential(&format!("{text} {prefix}{text}")));
        }
    }
}

/// Parses an object with serde_json, which keeps the last of duplicate members.
fn plain_object(bytes: &[u8]) -> Map<String, Value> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(members)) => members,
        other => panic!("accepted, but not a JSON object: {other:?}"),
    }
}

/// Counts the members at all depths.
fn count(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.len() + members.values().map(count).sum::<usize>(),
        Value::Array(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

/// Counts the members in well-formed JSON: the colons outside of strings.
fn names_in(bytes: &[u8]) -> usize {
    let (mut names, mut in_string, mut escaped) = (0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b':' if !in_string => names += 1,
            _ => {}
        }
    }
    names
}

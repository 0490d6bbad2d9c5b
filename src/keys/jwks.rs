//! The JWK set (RFC 7517 section 5), as it is published.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use crate::jose::PublicJwk;

/// The published keys: the text, made once for each change of the keys, and what HTTP says about it.
#[derive(Debug)]
pub struct JwkSetDocument {
    /// The JSON text.
    pub json: String,
    /// Its entity tag, with quotes (RFC 9110 section 8.8.3).
    pub etag: String,
    /// How long it may be kept.
    pub max_age: Duration,
    /// The JOSE names of the published keys' algorithms, each once, in the set's order.
    pub algorithms: Vec<String>,
}

impl JwkSetDocument {
    pub(super) fn new(keys: &[PublicJwk], max_age: Duration) -> Self {
        // A set of strings always serialises; an empty set would fail closed.
        let json = serde_json::to_string(&JwkSet { keys }).unwrap_or_else(|_| r#"{"keys":[]}"#.to_owned());
        let mut algorithms: Vec<String> = Vec::new();
        for key in keys {
            let name = key.algorithm.name().to_owned();
            if !algorithms.contains(&name) {
                algorithms.push(name);
            }
        }
        Self { etag: etag(&json), json, max_age, algorithms }
    }
}

#[derive(Serialize)]
struct JwkSet<'k> {
    keys: &'k [PublicJwk],
}

/// A strong entity tag for `text`: the beginning of its SHA-256.
pub(crate) fn etag(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    let start = hash.as_ref().first_chunk::<16>().copied().unwrap_or_default();
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(start))
}

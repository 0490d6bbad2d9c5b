//! The published JWK set (RFC 7517 section 5).

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use crate::{jose::PublicJwk, model::UnixTime};

/// The minimum of `max-age`, however soon a change is due, so that not every verifier fetches the set at once.
const LEAST_AGE: Duration = Duration::from_secs(10);

/// The published keys: the text, serialised once for each change of the keys, and its HTTP metadata.
#[derive(Debug)]
pub struct JwkSetDocument {
    /// The JSON text.
    pub json: String,
    /// Its entity tag, with quotes (RFC 9110 section 8.8.3).
    pub etag: String,
    /// The JOSE names of the published keys' algorithms, each once, in the set's order.
    pub algorithms: Vec<&'static str>,
    /// The time for which it may be cached when no change is due.
    max_age: Duration,
    /// The time of its next planned change.
    next_change: Option<UnixTime>,
}

#[derive(Serialize)]
struct JwkSet {
    keys: Vec<PublicJwk>,
}

impl JwkSetDocument {
    /// The set with no keys.
    pub(super) fn empty() -> Self {
        Self::new(Vec::new(), Duration::ZERO, None)
    }

    pub(super) fn new(keys: Vec<PublicJwk>, max_age: Duration, next_change: Option<UnixTime>) -> Self {
        let mut algorithms = Vec::new();
        for name in keys.iter().map(|key| key.algorithm.name()) {
            if !algorithms.contains(&name) {
                algorithms.push(name);
            }
        }
        // A set of strings always serialises; an empty set would fail closed.
        let json = serde_json::to_string(&JwkSet { keys }).unwrap_or_else(|_| r#"{"keys":[]}"#.to_owned());
        Self { etag: etag(&json), json, algorithms, max_age, next_change }
    }

    /// The time for which the set may be cached from `now` on: until its next planned change, at most the configured age.
    pub fn max_age(&self, now: UnixTime) -> Duration {
        let until_change = self.next_change.map_or(self.max_age, |change| change.since(now));
        until_change.max(LEAST_AGE).min(self.max_age)
    }
}

/// A strong entity tag for `text`: the first 128 bits of its SHA-256.
pub(crate) fn etag(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    let start = hash.as_ref().first_chunk::<16>().copied().unwrap_or_default();
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_kept_until_its_next_change_at_the_longest() {
        let set =
            JwkSetDocument::new(Vec::new(), Duration::from_secs(300), Some(UnixTime::from_seconds(1000)));
        let age = |now| set.max_age(UnixTime::from_seconds(now)).as_secs();
        assert_eq!([age(0), age(700), age(701), age(950), age(995), age(2000)], [300, 300, 299, 50, 10, 10]);
        let unchanging = JwkSetDocument::new(Vec::new(), Duration::from_secs(5), None);
        assert_eq!(unchanging.max_age(UnixTime::from_seconds(0)), Duration::from_secs(5));
    }
}

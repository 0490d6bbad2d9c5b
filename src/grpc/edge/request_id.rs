//! Request ids: each call has one, in the log and in its response. A caller may send its own.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    model::holds_credential,
    random::{self, RandomError},
};

/// The metadata key in requests and responses.
pub(super) const NAME: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that a caller may send, in bytes.
const MAX_LENGTH: usize = 64;

/// Generates request ids: a random number of this process, and a counter.
#[derive(Debug)]
pub(super) struct RequestIds {
    process: [u8; 6],
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Result<Self, RandomError> {
        Ok(Self { process: random::bytes()?, next: AtomicU64::new(u64::from_be_bytes(random::bytes()?)) })
    }

    /// Returns the caller's id if it is safe to log and not a credential, else a new one.
    pub(super) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let fit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let own = headers.get(NAME).filter(|value| {
            let bytes = value.as_bytes();
            (1..=MAX_LENGTH).contains(&bytes.len())
                && bytes.iter().all(fit)
                && value.to_str().is_ok_and(|text| !holds_credential(text))
        });
        let mut id = own.cloned().unwrap_or_else(|| self.next());
        // An id is sent once. As a sensitive value it stays out of HPACK's table, where it would evict entries that are sent again
        // (RFC 7541 section 7.1.3).
        id.set_sensitive(true);
        id
    }

    fn next(&self) -> HeaderValue {
        let [_, _, count @ ..] = self.next.fetch_add(1, Relaxed).to_be_bytes();
        let mut bytes = [0; 12];
        let (process, rest) = bytes.split_at_mut(self.process.len());
        process.copy_from_slice(&self.process);
        rest.copy_from_slice(&count);
        let mut text = [0; 16];
        // 12 bytes are 16 characters of base64url, all valid in a header.
        let _ = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&text))
            .unwrap_or(const { HeaderValue::from_static("none") })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn new_ids_are_all_different_and_fit_for_a_header() {
        let (one, other) = (RequestIds::new().unwrap(), RequestIds::new().unwrap());
        let mut seen = HashSet::new();
        for _ in 0..2000 {
            for ids in [&one, &other] {
                let id = ids.of(&HeaderMap::new());
                assert_eq!(id.to_str().unwrap().len(), 16);
                assert!(seen.insert(id));
            }
        }
    }

    #[test]
    fn the_caller_s_own_id_is_kept_if_it_is_fit_for_a_log() {
        let ids = RequestIds::new().unwrap();
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(NAME, HeaderValue::from_str(text).unwrap());
            ids.of(&headers)
        };
        for kept in ["abc-1_2.3", &"a".repeat(64)] {
            assert_eq!(of(kept), kept);
        }
        for replaced in
            ["", "a b", "é", &"a".repeat(65), "tkd_web_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
        {
            assert_ne!(of(replaced), replaced);
        }
    }
}

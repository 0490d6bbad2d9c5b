//! The id that finds a call in the log. A caller may send its own; it is sent back.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{model::holds_credential, random};

/// The metadata that carries it, both ways.
pub(super) const NAME: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id of a caller's own.
const LONGEST: usize = 64;

/// The caller's id if it has one that is fit for a log and no credential, else a fresh one.
pub(super) fn of(headers: &HeaderMap) -> HeaderValue {
    let fit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let own = headers.get(NAME).filter(|value| {
        let bytes = value.as_bytes();
        (1..=LONGEST).contains(&bytes.len())
            && bytes.iter().all(fit)
            && value.to_str().is_ok_and(|text| !holds_credential(text))
    });
    own.cloned().unwrap_or_else(|| {
        let fresh = random::text::<12>().ok().and_then(|text| HeaderValue::try_from(text).ok());
        fresh.unwrap_or(const { HeaderValue::from_static("none") })
    })
}

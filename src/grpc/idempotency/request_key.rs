//! How a request with a `request_id` is recognized.

use aws_lc_rs::hmac;
use prost::Message;
use zeroize::Zeroizing;

use crate::model::{ClientId, Method};

/// A request with a `request_id`.
pub(in crate::grpc) struct IdentifiedRequest {
    pub(super) key: RequestKey,
    pub(super) fingerprint: Fingerprint,
}

/// Tells different requests with the same key apart.
pub(super) type Fingerprint = [u8; 32];

/// Each caller has its own request ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RequestKey {
    pub(super) caller: ClientId,
    /// The UUID.
    pub(super) request_id: u128,
}

impl IdentifiedRequest {
    /// Returns nothing for a request without an id, or with one that will be rejected.
    pub(super) fn new(
        fingerprint_key: &hmac::Key,
        caller: &ClientId,
        method: Method,
        request_id: &str,
        request: &impl Message,
    ) -> Option<Self> {
        // First, because most requests have no id and must not pay for one.
        let request_id = parse_uuid(request_id)?;
        let key = RequestKey { caller: caller.clone(), request_id };
        // The request may hold a password: encode it once, into a buffer of its size, and wipe the buffer.
        let encoded = Zeroizing::new(request.encode_to_vec());
        let mut context = hmac::Context::with_key(fingerprint_key);
        context.update(method.name().as_bytes());
        context.update(&encoded);
        let mut fingerprint = Fingerprint::default();
        fingerprint.copy_from_slice(context.sign().as_ref());
        Some(Self { key, fingerprint })
    }
}

/// Parses a UUID. `convert::request_id` rejects other text.
fn parse_uuid(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let digits: String = text.split('-').collect();
    u128::from_str_radix(&digits, 16).ok()
}

//! What a request is known by that names itself.

use aws_lc_rs::hmac;
use prost::Message;
use zeroize::Zeroizing;

use crate::model::{ClientId, Method};

/// A request that names itself.
pub(in crate::grpc) struct Ticket {
    pub(super) name: Name,
    pub(super) fingerprint: Fingerprint,
}

/// Tells requests of one name apart.
pub(super) type Fingerprint = [u8; 32];

/// Each caller's names are its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) caller: ClientId,
    /// The UUID.
    pub(super) request_id: u128,
}

impl Ticket {
    /// That of a request; none if it has no name, or one that will be refused.
    pub(super) fn of(
        key: &hmac::Key,
        caller: &ClientId,
        method: Method,
        request_id: &str,
        request: &impl Message,
    ) -> Option<Self> {
        // Before anything else: most requests have no name, and must not pay for one.
        let request_id = uuid(request_id)?;
        let name = Name { caller: caller.clone(), request_id };
        // The one buffer: growing would leave copies behind.
        let encoded = Zeroizing::new(request.encode_to_vec());
        let mut context = hmac::Context::with_key(key);
        context.update(method.name().as_bytes());
        context.update(&encoded);
        let mut fingerprint = Fingerprint::default();
        fingerprint.copy_from_slice(context.sign().as_ref());
        Some(Self { name, fingerprint })
    }
}

/// A UUID's number. What else is no UUID is refused elsewhere.
fn uuid(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let digits: String = text.split('-').collect();
    u128::from_str_radix(&digits, 16).ok()
}

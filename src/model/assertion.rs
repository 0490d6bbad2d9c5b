//! What is kept of a client's assertion that was used.

use aws_lc_rs::digest::{Context, SHA256};

use super::ClientId;

/// SHA-256 of a client's id and the `jti` of one of its assertions (RFC 7523 section 3): names it among all, in 32 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssertionDigest([u8; 32]);

impl AssertionDigest {
    /// The digest for this `jti` of this client.
    pub fn of(client_id: &ClientId, jwt_id: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(client_id.as_str().as_bytes());
        // A client's id holds no such octet: no other pair has the same text.
        context.update(&[0]);
        context.update(jwt_id.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    /// The 32 octets, for the store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

//! Sealing keys that the store keeps, wrapped by their provider.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::UnixTime;

/// The id of a sealing key, which reveals nothing of the key: eight bytes; as text, base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SealingKeyId([u8; Self::LEN]);

impl SealingKeyId {
    /// The length in bytes.
    pub const LEN: usize = 8;

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Parses an id.
    pub fn from_text(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for SealingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// A wrapped sealing key, which only its provider can unwrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealingKeyRecord {
    /// The key's id.
    pub sealing_key_id: SealingKeyId,
    /// The provider that wrapped the key.
    pub provider: String,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// When the key was created.
    pub create_time: UnixTime,
}

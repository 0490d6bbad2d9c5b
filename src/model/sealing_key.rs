//! Sealing keys as the store keeps those that are kept there: wrapped by somebody else.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::UnixTime;

/// Names a sealing key, and tells nothing about it. Eight octets; as text, base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SealingKeyId([u8; Self::LEN]);

impl SealingKeyId {
    /// Its length in octets.
    pub const LEN: usize = 8;

    /// The id of these octets.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The id as text, read.
    pub fn from_text(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The octets.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for SealingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// A sealing key at rest: only its provider can unwrap it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealingKeyRecord {
    /// Its id.
    pub sealing_key_id: SealingKeyId,
    /// Who wrapped it.
    pub provider: String,
    /// The key, as the provider wrapped it.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub create_time: UnixTime,
}

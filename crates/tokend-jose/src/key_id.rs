//! Key ids (`kid`, RFC 7515 section 4.1.4).

use std::fmt;

/// A key's id (`kid`): the RFC 7638 SHA-256 thumbprint of the public key, or random for a symmetric key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// An id from the store or from a key, which is valid.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Parses the id of an imported key, which is written to headers, logs and requests unchanged.
    ///
    /// # Errors
    /// When it is not 1 to 128 printable ASCII characters, or holds a space, `"` or `\\`.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyId> {
        let good = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        let valid = (1..=128).contains(&text.len()) && text.bytes().all(good);
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidKeyId) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is not a key id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 128 printable ASCII characters other than space, `\"` and `\\`")]
pub struct InvalidKeyId;

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for KeyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

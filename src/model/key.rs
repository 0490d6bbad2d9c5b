//! What a key is called, where it stands, and what it is for.

use std::fmt;

use crate::random::{self, RandomError};

/// A key's id (`kid`): the RFC 7638 SHA-256 thumbprint of the public key, or random for a symmetric key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// A random id, for a key of which nothing may be told: 128 bits as base64url.
    pub(crate) fn generate() -> Result<Self, RandomError> {
        random::text::<16>().map(Self)
    }

    /// An id that tokend made.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// An id that came with a key from elsewhere. It must stand in a header, a log and a request as it is.
    ///
    /// # Errors
    /// When it is not 1 to 128 printable ASCII characters, or holds a space, `"` or `\\`.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyId> {
        let good = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'"' | b'\\');
        let valid = (1..=128).contains(&text.len()) && text.bytes().all(good);
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidKeyId) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no key id.
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

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, not yet signing.
    Pending,
    /// Signs and verifies.
    Active,
    /// Verifies what it once signed.
    Retired,
    /// Neither signs nor verifies.
    Revoked,
}

impl KeyState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Retired, Self::Revoked];

    /// How the store writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether a key in this state may verify, and so is published.
    pub const fn verifies(self) -> bool {
        !matches!(self, Self::Revoked)
    }
}

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUsage {
    /// Signs when it is its turn, and verifies.
    SignAndVerify,
    /// Verifies only: the key of another issuer, or of one before.
    VerifyOnly,
}

impl KeyUsage {
    /// Every usage.
    pub const ALL: [Self; 2] = [Self::SignAndVerify, Self::VerifyOnly];

    /// How the store writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignAndVerify => "sign",
            Self::VerifyOnly => "verify",
        }
    }

    /// The usage of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|usage| usage.name() == name)
    }
}

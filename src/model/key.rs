//! Signing keys as the store keeps them.

use std::fmt;

use super::{Algorithm, UnixTime};

/// A key's id (`kid`): the RFC 7638 SHA-256 thumbprint of the public key, or random for a symmetric key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// An id that tokend made.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

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

/// A key at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its id.
    pub key_id: KeyId,
    /// The one algorithm that it is for.
    pub algorithm: Algorithm,
    /// Where it stands.
    pub state: KeyState,
    /// The private key or secret, sealed under the sealing key.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub create_time: UnixTime,
}

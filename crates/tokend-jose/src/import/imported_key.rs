//! The result of an import.

use std::fmt;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{Algorithm, KeyId, public_key::PublicKey};

/// The keys in the material, at least one.
pub struct Imported {
    /// The keys that can be used.
    pub keys: Vec<ImportedKey>,
    /// The keys of a set that cannot be used.
    pub skipped: Vec<SkippedKey>,
}

/// A key of a set that cannot be used (RFC 7517 section 5), and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`, truncated after 128 characters; empty if it has none.
    pub key_id: String,
    /// The problem. The text contains nothing of the key material.
    pub problem: String,
}

impl SkippedKey {
    pub(crate) fn new(members: &Map<String, Value>, problem: impl fmt::Display) -> Self {
        let key_id = members.get("kid").and_then(Value::as_str).unwrap_or_default();
        Self { key_id: key_id.chars().take(128).collect(), problem: problem.to_string() }
    }
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key_id.as_str() {
            "" => f.write_str(&self.problem),
            // The id comes from elsewhere, so it is escaped.
            key_id => write!(f, "{} (`kid` {key_id:?})", self.problem),
        }
    }
}

/// An imported key, checked.
pub struct ImportedKey {
    /// The `kid` of the JWK.
    pub key_id: Option<KeyId>,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The public part; none for a secret.
    pub public: Option<PublicKey>,
    /// The private part as [`KeyMaterial::parse`](crate::KeyMaterial::parse) reads it, or the secret.
    pub private: Option<Zeroizing<Vec<u8>>>,
    /// Whether it has a private part and its `key_ops`, if any, allow signing.
    pub may_sign: bool,
}

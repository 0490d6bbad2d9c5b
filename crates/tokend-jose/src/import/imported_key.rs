//! What comes of the reading.

use std::fmt;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{Algorithm, KeyId, public_key::PublicKey};

/// The keys of some material: there is at least one.
pub struct Imported {
    /// The keys that can be used.
    pub keys: Vec<ImportedKey>,
    /// The keys of a set that cannot be used.
    pub skipped: Vec<SkippedKey>,
}

/// A key of a set that cannot be used (RFC 7517 section 5), and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`, cut off after 128 characters; empty if it has none.
    pub key_id: String,
    /// What is wrong with it. The text holds nothing of the key's material.
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
            // Somebody else chose the id: what is no printable character is escaped.
            key_id => write!(f, "{} (`kid` {key_id:?})", self.problem),
        }
    }
}

/// A key from elsewhere, checked.
pub struct ImportedKey {
    /// The JWK's own `kid`.
    pub key_id: Option<KeyId>,
    /// The one algorithm that it is for.
    pub algorithm: Algorithm,
    /// The public half; none for a secret.
    pub public: Option<PublicKey>,
    /// The private half as `KeyMaterial::parse` reads it, or the secret.
    pub private: Option<Zeroizing<Vec<u8>>>,
    /// Whether it can sign, and its `key_ops`, if it has any, do not speak against it.
    pub may_sign: bool,
}

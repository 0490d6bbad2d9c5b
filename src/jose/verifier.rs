//! A key that verifies: in memory always, for what verifies is public or a secret that is held anyway.

use std::sync::Arc;

use aws_lc_rs::hmac;

use super::{material::KeyMaterial, public_key::PublicKey};
use crate::model::{Reason, Refusal};

/// Verifies with one key and its one algorithm.
pub(crate) struct Verifier(Key);

enum Key {
    Public(PublicKey),
    Secret(Arc<KeyMaterial>),
}

impl Verifier {
    /// The verifier for a public key.
    pub(crate) const fn public(key: PublicKey) -> Self {
        Self(Key::Public(key))
    }

    /// The verifier for a secret. A private key in its place verifies nothing: its public half does.
    pub(crate) fn secret(material: &Arc<KeyMaterial>) -> Self {
        Self(Key::Secret(Arc::clone(material)))
    }

    /// Checks `signature` over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let good = match &self.0 {
            Key::Public(key) => key.verifies(message, signature),
            Key::Secret(material) => match &**material {
                // In constant time, and for the whole tag only.
                KeyMaterial::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
                _ => false,
            },
        };
        if good {
            Ok(())
        } else {
            Err(Refusal::new(Reason::SignatureInvalid, "the token's signature does not verify"))
        }
    }
}

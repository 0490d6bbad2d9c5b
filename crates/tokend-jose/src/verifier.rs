//! Verifiers on the traits of `jsonwebtoken` and `signature`.

use std::sync::Arc;

use aws_lc_rs::hmac;
use jsonwebtoken::{crypto::JwtVerifier, signature};

use super::{material::KeyMaterial, named::Named, public_key::PublicKey};
use crate::{Algorithm, InvalidToken, Reason};

/// Verifies with one key and its one algorithm.
pub enum Verifier {
    /// With an algorithm that jsonwebtoken has.
    Jwt(Box<dyn JwtVerifier + Send + Sync>),
    /// With ML-DSA, which jsonwebtoken does not have.
    MlDsa(Box<dyn signature::Verifier<Vec<u8>> + Send + Sync>),
}

impl Verifier {
    /// The verifier for a public key.
    pub fn public(key: PublicKey) -> Self {
        Self::with(key.algorithm(), key)
    }

    /// The verifier for a secret. With a private key instead of a secret, every signature is invalid.
    pub fn secret(algorithm: Algorithm, material: &Arc<KeyMaterial>) -> Self {
        Self::with(algorithm, Secret(Arc::clone(material)))
    }

    fn with(algorithm: Algorithm, key: impl signature::Verifier<Vec<u8>> + Send + Sync + 'static) -> Self {
        match algorithm.try_into() {
            Ok(name) => Self::Jwt(Box::new(Named { name, key })),
            Err(_) => Self::MlDsa(Box::new(key)),
        }
    }

    /// Verifies `signature` over `message`.
    ///
    /// # Errors
    /// With the reason [`Reason::SignatureInvalid`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidToken> {
        // The traits are over an owned signature.
        let signature = signature.to_vec();
        match self {
            Self::Jwt(key) => key.verify(message, &signature),
            Self::MlDsa(key) => key.verify(message, &signature),
        }
        .map_err(|_| InvalidToken::new(Reason::SignatureInvalid, "the token's signature does not verify"))
    }
}

impl signature::Verifier<Vec<u8>> for PublicKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        if self.verifies(message, signature) { Ok(()) } else { Err(signature::Error::new()) }
    }
}

struct Secret(Arc<KeyMaterial>);

impl signature::Verifier<Vec<u8>> for Secret {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        match &*self.0 {
            // In constant time, and for the whole tag only.
            KeyMaterial::Hmac(key) => {
                hmac::verify(key, message, signature).map_err(|_| signature::Error::new())
            }
            _ => Err(signature::Error::new()),
        }
    }
}

//! A key that verifies, behind jsonwebtoken's trait.

use std::sync::Arc;

use aws_lc_rs::{
    hmac,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
        RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
    },
};
use jsonwebtoken::crypto::JwtVerifier;
use signature::Error;

use super::material::{KeyMaterial, MaterialError};
use crate::model::{Algorithm, Reason, Refusal};

/// Verifies with one key and its one algorithm.
pub(crate) struct Verifier(Box<dyn JwtVerifier + Send + Sync>);

impl Verifier {
    /// The verifier for the public half of `material`, or for the secret itself.
    pub(crate) fn new(algorithm: Algorithm, material: &Arc<KeyMaterial>) -> Result<Self, MaterialError> {
        let key = match (material.public_octets(), verification(algorithm)) {
            (Some(octets), Some(method)) => {
                let parsed = ParsedPublicKey::new(method, octets);
                Key::Public(parsed.map_err(|_| MaterialError::Unreadable(algorithm))?)
            }
            _ => Key::Secret(Arc::clone(material)),
        };
        Ok(Self(Box::new(InMemory { algorithm, key })))
    }

    /// Checks `signature` over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Refusal> {
        self.0
            .verify(message, signature)
            .map_err(|_| Refusal::new(Reason::SignatureInvalid, "the token's signature does not verify"))
    }
}

enum Key {
    Public(ParsedPublicKey),
    Secret(Arc<KeyMaterial>),
}

struct InMemory {
    algorithm: Algorithm,
    key: Key,
}

impl signature::Verifier<Vec<u8>> for InMemory {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        match &self.key {
            Key::Public(key) => key.verify_sig(message, signature).map_err(|_| Error::new()),
            Key::Secret(material) => match &**material {
                // In constant time, and for the whole tag only.
                KeyMaterial::Hmac(key) => hmac::verify(key, message, signature).map_err(|_| Error::new()),
                _ => Err(Error::new()),
            },
        }
    }
}

impl JwtVerifier for InMemory {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.algorithm.into()
    }
}

fn verification(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
        Algorithm::EdDsa => &ED25519,
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => return None,
    })
}

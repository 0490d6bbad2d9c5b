//! A private key that signs, behind a trait: where a key in hardware or in a key service will fit.

use std::sync::Arc;

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
        RsaEncoding,
    },
};

use super::material::KeyMaterial;
use crate::model::Algorithm;

/// The key could not sign.
#[derive(Debug, thiserror::Error)]
#[error("the signing key could not sign")]
pub(crate) struct SigningError;

/// Whatever makes signatures with one key and its one algorithm.
pub(crate) trait Sign: Send + Sync {
    /// The signature's octets over `message`, in the form of a JWS.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError>;
}

/// Signs with one key and its one algorithm.
pub(crate) struct Signer(Box<dyn Sign>);

impl Signer {
    /// A signer that holds `material` in memory.
    pub(crate) fn in_memory(algorithm: Algorithm, material: Arc<KeyMaterial>) -> Self {
        Self(Box::new(InMemory { algorithm, material }))
    }

    /// The signature's octets over `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.0.sign(message)
    }
}

struct InMemory {
    algorithm: Algorithm,
    material: Arc<KeyMaterial>,
}

impl Sign for InMemory {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let failed = |_| SigningError;
        match &*self.material {
            KeyMaterial::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            KeyMaterial::Ed(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
            KeyMaterial::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = rsa_padding(self.algorithm).ok_or(SigningError)?;
                pair.sign(padding, &SystemRandom::new(), message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            // With an empty context (RFC 9964).
            KeyMaterial::MlDsa(pair) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                pair.sign(message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            KeyMaterial::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
    }
}

fn rsa_padding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &RSA_PSS_SHA256,
        Algorithm::Ps384 => &RSA_PSS_SHA384,
        Algorithm::Ps512 => &RSA_PSS_SHA512,
        _ => return None,
    })
}

//! A private key that signs, behind jsonwebtoken's trait: where a key in hardware or in a key service will fit.

use std::sync::Arc;

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
        RsaEncoding,
    },
};
use jsonwebtoken::crypto::JwtSigner;
use signature::Error;

use super::material::KeyMaterial;
use crate::model::Algorithm;

/// Signs with one key and its one algorithm.
pub(crate) struct Signer(Box<dyn JwtSigner + Send + Sync>);

/// The key could not sign.
#[derive(Debug, thiserror::Error)]
#[error("the signing key could not sign")]
pub(crate) struct SigningError;

impl Signer {
    /// A signer that holds `material` in memory.
    pub(crate) fn in_memory(algorithm: Algorithm, material: Arc<KeyMaterial>) -> Self {
        Self(Box::new(InMemory { algorithm, material }))
    }

    /// The signature's octets over `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.0.try_sign(message).map_err(|_| SigningError)
    }
}

struct InMemory {
    algorithm: Algorithm,
    material: Arc<KeyMaterial>,
}

impl signature::Signer<Vec<u8>> for InMemory {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match &*self.material {
            KeyMaterial::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| Error::new())?;
                Ok(signature.as_ref().to_vec())
            }
            KeyMaterial::Ed(pair) => Ok(pair.try_sign(message).map_err(|_| Error::new())?.as_ref().to_vec()),
            KeyMaterial::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = rsa_padding(self.algorithm).ok_or_else(Error::new)?;
                pair.sign(padding, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| Error::new())?;
                Ok(signature)
            }
            KeyMaterial::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
    }
}

impl JwtSigner for InMemory {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.algorithm.into()
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

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Self::ES256,
            Algorithm::Es384 => Self::ES384,
            Algorithm::EdDsa => Self::EdDSA,
            Algorithm::Rs256 => Self::RS256,
            Algorithm::Rs384 => Self::RS384,
            Algorithm::Rs512 => Self::RS512,
            Algorithm::Ps256 => Self::PS256,
            Algorithm::Ps384 => Self::PS384,
            Algorithm::Ps512 => Self::PS512,
            Algorithm::Hs256 => Self::HS256,
            Algorithm::Hs384 => Self::HS384,
            Algorithm::Hs512 => Self::HS512,
        }
    }
}

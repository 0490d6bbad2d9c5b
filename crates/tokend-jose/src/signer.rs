//! Signers on the traits of `jsonwebtoken` and `signature`, which a key in hardware or in a key service can implement, too.

use std::sync::Arc;

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
        RsaEncoding,
    },
};
use jsonwebtoken::{crypto::JwtSigner, signature};

use super::{material::KeyMaterial, named::Named};
use crate::Algorithm;

/// The key could not sign.
#[derive(Debug, thiserror::Error)]
#[error("the signing key could not sign")]
pub struct SigningError;

/// Signs with one key and its one algorithm.
pub enum Signer {
    /// With an algorithm that jsonwebtoken has.
    Jwt(Box<dyn JwtSigner + Send + Sync>),
    /// With ML-DSA, which jsonwebtoken does not have.
    MlDsa(Box<dyn signature::Signer<Vec<u8>> + Send + Sync>),
}

impl Signer {
    /// Signs with `material`, in memory.
    pub fn in_memory(algorithm: Algorithm, material: Arc<KeyMaterial>) -> Self {
        let key = InMemory { algorithm, material };
        match algorithm.try_into() {
            Ok(name) => Self::Jwt(Box::new(Named { name, key })),
            Err(_) => Self::MlDsa(Box::new(key)),
        }
    }

    /// The signature over `message`, as a JWS has it.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        // Never `sign`: it panics where `try_sign` fails.
        match self {
            Self::Jwt(key) => key.try_sign(message),
            Self::MlDsa(key) => key.try_sign(message),
        }
        .map_err(|_| SigningError)
    }
}

/// A private key or secret in the memory of this process.
struct InMemory {
    algorithm: Algorithm,
    material: Arc<KeyMaterial>,
}

impl signature::Signer<Vec<u8>> for InMemory {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let failed = |_| signature::Error::new();
        match &*self.material {
            KeyMaterial::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            KeyMaterial::Ed(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
            KeyMaterial::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = rsa_padding(self.algorithm).ok_or_else(signature::Error::new)?;
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

#[cfg(test)]
#[expect(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::Verifier;

    #[test]
    fn keys_are_jsonwebtokens_with_every_algorithm_but_ml_dsa() {
        for algorithm in Algorithm::ALL {
            let bytes = KeyMaterial::generate(algorithm).unwrap();
            let material = Arc::new(KeyMaterial::parse(algorithm, &bytes).unwrap());
            let verifier = match material.public_key(algorithm) {
                Some(public) => Verifier::public(public),
                None => Verifier::secret(algorithm, &material),
            };
            let signer = Signer::in_memory(algorithm, Arc::clone(&material));
            let names = match (&signer, &verifier) {
                (Signer::Jwt(signer), Verifier::Jwt(verifier)) => {
                    Some((signer.algorithm(), verifier.algorithm()))
                }
                (Signer::MlDsa(_), Verifier::MlDsa(_)) => None,
                _ => panic!("{algorithm}: one half alone is jsonwebtoken's"),
            };
            assert_eq!(names, algorithm.try_into().ok().map(|name| (name, name)), "{algorithm}");

            let mut signature = signer.sign(b"message").unwrap();
            verifier.verify(b"message", &signature).unwrap();
            assert!(verifier.verify(b"massage", &signature).is_err(), "{algorithm}");
            if !algorithm.is_symmetric() {
                let private = Verifier::secret(algorithm, &material);
                assert!(private.verify(b"message", &signature).is_err(), "{algorithm} as a secret");
            }
            signature.pop();
            assert!(verifier.verify(b"message", &signature).is_err(), "{algorithm} cut short");
        }
    }
}

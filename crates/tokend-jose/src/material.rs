//! Private keys and secrets: generated, and parsed once.

use aws_lc_rs::{
    encoding::AsDer as _,
    hmac,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING,
        ML_DSA_87_SIGNING, PqdsaKeyPair, PqdsaSigningAlgorithm, RsaKeyPair,
    },
};
use zeroize::Zeroizing;

use super::{
    key_type::KeyType,
    material_error::MaterialError,
    public_key::{Parts, PublicKey},
};
use crate::Algorithm;

/// A parsed private key or secret for one algorithm.
pub enum KeyMaterial {
    /// ECDSA (RFC 7518 section 3.4).
    Ec(EcdsaKeyPair),
    /// Ed25519 (RFC 8037).
    Ed(Ed25519KeyPair),
    /// RSASSA-PKCS1-v1_5 or RSASSA-PSS (RFC 7518 sections 3.3 and 3.5).
    Rsa(RsaKeyPair),
    /// ML-DSA (RFC 9964).
    MlDsa(PqdsaKeyPair),
    /// HMAC (RFC 7518 section 3.2).
    Hmac(Box<hmac::Key>),
}

impl KeyMaterial {
    /// Generates a key: PKCS#8 version 1, or the bytes of a secret. RSA keys have 2,048 bits, which every verifier accepts.
    ///
    /// # Errors
    /// When the system's random number generator fails.
    pub fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, MaterialError> {
        let failed = |_| MaterialError::Generate(algorithm);
        let material = match KeyType::of(algorithm) {
            KeyType::Ec => Self::Ec(EcdsaKeyPair::generate(ec_method(algorithm)).map_err(failed)?),
            KeyType::Okp => Self::Ed(Ed25519KeyPair::generate().map_err(failed)?),
            KeyType::Rsa => Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            KeyType::Akp => Self::MlDsa(PqdsaKeyPair::generate(ml_dsa_method(algorithm)).map_err(failed)?),
            KeyType::Oct => {
                let mut secret = Zeroizing::new(vec![0; 64]);
                random(&mut secret).map_err(failed)?;
                return Ok(secret);
            }
        };
        material.to_pkcs8().ok_or(MaterialError::Generate(algorithm))
    }

    /// Parses a key in the form that [`Self::generate`] returns, or a shared secret.
    ///
    /// # Errors
    /// When the bytes are not a key for `algorithm`, or a secret is shorter than its hash (RFC 7518 section 3.2).
    pub fn parse(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, MaterialError> {
        let unreadable = |_| MaterialError::Unreadable(algorithm);
        Ok(match KeyType::of(algorithm) {
            KeyType::Ec => {
                Self::Ec(EcdsaKeyPair::from_pkcs8(ec_method(algorithm), bytes).map_err(unreadable)?)
            }
            KeyType::Okp => Self::Ed(Ed25519KeyPair::from_pkcs8(bytes).map_err(unreadable)?),
            KeyType::Rsa => Self::Rsa(RsaKeyPair::from_pkcs8(bytes).map_err(unreadable)?),
            KeyType::Akp => {
                Self::MlDsa(PqdsaKeyPair::from_pkcs8(ml_dsa_method(algorithm), bytes).map_err(unreadable)?)
            }
            KeyType::Oct => {
                let least = least_secret(algorithm);
                if bytes.len() < least {
                    return Err(MaterialError::TooShort(algorithm, least));
                }
                Self::Hmac(Box::new(hmac::Key::new(hash(algorithm), bytes)))
            }
        })
    }

    /// The private key as PKCS#8 version 1, ML-DSA as its seed; none for a secret, and for an ML-DSA key without its seed.
    pub(super) fn to_pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = match self {
            Self::Ec(pair) => pair.to_pkcs8v1().ok()?.as_ref().to_vec(),
            Self::Ed(pair) => pair.to_pkcs8v1().ok()?.as_ref().to_vec(),
            Self::Rsa(pair) => pair.as_der().ok()?.as_ref().to_vec(),
            Self::MlDsa(pair) => pair.to_pkcs8v1().ok()?.as_ref().to_vec(),
            Self::Hmac(_) => return None,
        };
        Some(Zeroizing::new(bytes))
    }

    /// The public key; none for a secret.
    pub fn public_key(&self, algorithm: Algorithm) -> Option<PublicKey> {
        let parts = match self {
            Self::Ec(pair) => {
                // An uncompressed point (SEC 1 section 2.3.3): 4, then x and y of equal length.
                let (_, point) = pair.public_key().as_ref().split_first()?;
                let (x, y) = point.split_at_checked(point.len() / 2)?;
                Parts::Ec { x: x.to_vec(), y: y.to_vec() }
            }
            Self::Ed(pair) => Parts::Okp { x: pair.public_key().as_ref().to_vec() },
            Self::Rsa(pair) => Parts::Rsa {
                n: pair.public_key().modulus().big_endian_without_leading_zero().to_vec(),
                e: pair.public_key().exponent().big_endian_without_leading_zero().to_vec(),
            },
            Self::MlDsa(pair) => Parts::Akp { public: pair.public_key().as_ref().to_vec() },
            Self::Hmac(_) => return None,
        };
        PublicKey::new(algorithm, &parts).ok()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one use of randomness in this crate")]
fn random(bytes: &mut [u8]) -> Result<(), aws_lc_rs::error::Unspecified> {
    aws_lc_rs::rand::fill(bytes)
}

/// The minimum length of a secret for `algorithm` in bytes, which is the length of the hash (RFC 7518 section 3.2).
pub(super) fn least_secret(algorithm: Algorithm) -> usize {
    hash(algorithm).digest_algorithm().output_len()
}

pub(super) const fn ec_method(algorithm: Algorithm) -> &'static EcdsaSigningAlgorithm {
    match algorithm {
        Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => &ECDSA_P256_SHA256_FIXED_SIGNING,
    }
}

pub(super) const fn ml_dsa_method(algorithm: Algorithm) -> &'static PqdsaSigningAlgorithm {
    match algorithm {
        Algorithm::MlDsa87 => &ML_DSA_87_SIGNING,
        Algorithm::MlDsa65 => &ML_DSA_65_SIGNING,
        _ => &ML_DSA_44_SIGNING,
    }
}

const fn hash(algorithm: Algorithm) -> hmac::Algorithm {
    match algorithm {
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    }
}

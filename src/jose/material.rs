//! Key material: made, read and described. Parsed once, then used for every token.

use aws_lc_rs::{
    encoding::AsDer as _,
    hmac,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, EllipticCurveKeyType,
    Jwk, OctetKeyPairParameters, OctetKeyPairType, PublicKeyUse, RSAKeyParameters, RSAKeyType,
    ThumbprintHash,
};
use zeroize::Zeroizing;

use crate::{
    model::{Algorithm, KeyId},
    random,
};

/// Key material that cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MaterialError {
    /// aws-lc could not make a key.
    #[error("no {0} key could be made")]
    Generate(Algorithm),
    /// The octets are not a key for this algorithm.
    #[error("not a key for {0}")]
    Unreadable(Algorithm),
    /// RFC 7518 section 3.2: the secret must be as long as the hash at least.
    #[error("a secret for {0} must have at least {1} bytes")]
    TooShort(Algorithm, usize),
}

/// A private key or secret for one algorithm, parsed.
pub(crate) enum KeyMaterial {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
    Hmac(Box<hmac::Key>),
}

impl KeyMaterial {
    /// Makes a fresh key: its octets as they are to be sealed (PKCS#8 version 1, or the bare secret). RSA keys have
    /// 2,048 bits, which every verifier takes.
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, MaterialError> {
        let failed = |_| MaterialError::Generate(algorithm);
        let octets = match algorithm {
            Algorithm::Es256 | Algorithm::Es384 => {
                let pair = EcdsaKeyPair::generate(ec_algorithm(algorithm)).map_err(failed)?;
                pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(failed)?;
                pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
            }
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
                pair.as_der().map_err(failed)?.as_ref().to_vec()
            }
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
                let secret = random::bytes::<64>().map_err(|_| MaterialError::Generate(algorithm))?;
                secret.to_vec()
            }
        };
        Ok(Zeroizing::new(octets))
    }

    /// Parses what [`Self::generate`] made, or a shared secret.
    pub(crate) fn parse(algorithm: Algorithm, octets: &[u8]) -> Result<Self, MaterialError> {
        let unreadable = |_| MaterialError::Unreadable(algorithm);
        Ok(match algorithm {
            Algorithm::Es256 | Algorithm::Es384 => {
                Self::Ec(EcdsaKeyPair::from_pkcs8(ec_algorithm(algorithm), octets).map_err(unreadable)?)
            }
            Algorithm::EdDsa => Self::Ed(Ed25519KeyPair::from_pkcs8(octets).map_err(unreadable)?),
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => Self::Rsa(RsaKeyPair::from_pkcs8(octets).map_err(unreadable)?),
            Algorithm::Hs256 => hmac_key(algorithm, hmac::HMAC_SHA256, octets)?,
            Algorithm::Hs384 => hmac_key(algorithm, hmac::HMAC_SHA384, octets)?,
            Algorithm::Hs512 => hmac_key(algorithm, hmac::HMAC_SHA512, octets)?,
        })
    }

    /// The public key's octets as a verifier reads them; none for a secret.
    pub(super) fn public_octets(&self) -> Option<&[u8]> {
        match self {
            Self::Ec(pair) => Some(pair.public_key().as_ref()),
            Self::Ed(pair) => Some(pair.public_key().as_ref()),
            Self::Rsa(pair) => Some(pair.public_key().as_ref()),
            Self::Hmac(_) => None,
        }
    }

    /// The id that belongs to this key: the RFC 7638 thumbprint of the public key, or fresh random text for a secret,
    /// of which nothing may be told.
    pub(crate) fn key_id(&self, algorithm: Algorithm) -> Result<KeyId, MaterialError> {
        let failed = || MaterialError::Generate(algorithm);
        let text = match self.parameters() {
            Some(algorithm) => Jwk { common: CommonParameters::default(), algorithm }
                .thumbprint(ThumbprintHash::SHA256)
                .map_err(|_| failed())?,
            None => random::text::<16>().map_err(|_| failed())?,
        };
        Ok(KeyId::from_text(text))
    }

    /// The public key for the JWK set (RFC 7517); none for a secret, which is never published.
    pub(crate) fn public_jwk(&self, algorithm: Algorithm, key_id: &KeyId) -> Option<Jwk> {
        Some(Jwk {
            common: CommonParameters {
                public_key_use: Some(PublicKeyUse::Signature),
                key_algorithm: algorithm.name().parse().ok(),
                key_id: Some(key_id.as_str().to_owned()),
                ..CommonParameters::default()
            },
            algorithm: self.parameters()?,
        })
    }

    fn parameters(&self) -> Option<AlgorithmParameters> {
        let text = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
        match self {
            Self::Ec(pair) => {
                // An uncompressed point (SEC 1 section 2.3.3): 4, then x and y of equal length.
                let (4, point) =
                    pair.public_key().as_ref().split_first().map(|(form, rest)| (*form, rest))?
                else {
                    return None;
                };
                let (x, y) = point.split_at_checked(point.len() / 2)?;
                Some(AlgorithmParameters::EllipticCurve(EllipticCurveKeyParameters {
                    key_type: EllipticCurveKeyType::EC,
                    curve: if x.len() == 32 { EllipticCurve::P256 } else { EllipticCurve::P384 },
                    x: text(x),
                    y: text(y),
                }))
            }
            Self::Ed(pair) => Some(AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
                key_type: OctetKeyPairType::OctetKeyPair,
                curve: EllipticCurve::Ed25519,
                x: text(pair.public_key().as_ref()),
            })),
            Self::Rsa(pair) => Some(AlgorithmParameters::RSA(RSAKeyParameters {
                key_type: RSAKeyType::RSA,
                n: text(pair.public_key().modulus().big_endian_without_leading_zero()),
                e: text(pair.public_key().exponent().big_endian_without_leading_zero()),
            })),
            Self::Hmac(_) => None,
        }
    }
}

const fn ec_algorithm(algorithm: Algorithm) -> &'static EcdsaSigningAlgorithm {
    if matches!(algorithm, Algorithm::Es384) {
        &ECDSA_P384_SHA384_FIXED_SIGNING
    } else {
        &ECDSA_P256_SHA256_FIXED_SIGNING
    }
}

fn hmac_key(
    algorithm: Algorithm,
    hash: hmac::Algorithm,
    secret: &[u8],
) -> Result<KeyMaterial, MaterialError> {
    let least = hash.digest_algorithm().output_len();
    if secret.len() < least {
        return Err(MaterialError::TooShort(algorithm, least));
    }
    Ok(KeyMaterial::Hmac(Box::new(hmac::Key::new(hash, secret))))
}

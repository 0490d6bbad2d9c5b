//! Private parts: parsed by aws-lc, and compared with the public part in the same material.

use std::sync::Arc;

use aws_lc_rs::{
    rsa::{KeyPairComponents, PublicKeyComponents},
    signature::{EcdsaKeyPair, Ed25519KeyPair, PqdsaKeyPair, RsaKeyPair},
};
use pkcs8::der::Encode as _;
use sec1::EcPrivateKey;
use zeroize::Zeroizing;

use super::problem::{ImportError, Problem};
use crate::{
    Algorithm, Signer,
    material::{KeyMaterial, ec_method, ml_dsa_method},
    public_key::{Parts, PublicKey},
};

type SecretBytes = Zeroizing<Vec<u8>>;

/// A private part as it was read.
pub(super) enum Private {
    /// The private number of an elliptic curve.
    Ec(SecretBytes),
    /// The seed of Ed25519.
    Okp(SecretBytes),
    Rsa(Box<RsaPrivate>),
    /// The seed of ML-DSA.
    Seed(SecretBytes),
    /// PKCS#8 with the seed of ML-DSA, its expanded key, or both.
    Pkcs8(SecretBytes),
}

/// The private numbers of RSA (RFC 8017 section 3.2).
pub(super) struct RsaPrivate {
    pub(super) d: SecretBytes,
    pub(super) p: SecretBytes,
    pub(super) q: SecretBytes,
    pub(super) dp: SecretBytes,
    pub(super) dq: SecretBytes,
    pub(super) qi: SecretBytes,
}

impl Private {
    /// Parses the private part, and proves that it belongs to the public part, whose members are `parts`. Returns the public part, and
    /// the private part as `KeyMaterial::parse` reads it.
    pub(super) fn prove(
        &self,
        algorithm: Algorithm,
        public: Option<&PublicKey>,
        parts: Option<&Parts>,
    ) -> Result<(PublicKey, SecretBytes), ImportError> {
        let material = self.parse(algorithm, parts)?;
        let derived = material.public_key(algorithm).ok_or(Problem::HalvesDiffer)?;
        if public.is_some_and(|public| public.to_jwk() != derived.to_jwk()) {
            return Err(Problem::HalvesDiffer.into());
        }
        let bytes = match (material.to_pkcs8(), self) {
            (Some(bytes), _) => bytes,
            // An ML-DSA key without its seed is kept as expanded key.
            (None, Self::Pkcs8(bytes)) => bytes.clone(),
            (None, _) => return Err(Problem::HalvesDiffer.into()),
        };
        // Signs once, because only a signature shows that a factor of an RSA key is not prime.
        let message = b"tokend proves an imported key";
        match Signer::in_memory(algorithm, Arc::new(material)).sign(message) {
            Ok(signature) if derived.verifies(message, &signature) => Ok((derived, bytes)),
            _ => Err(Problem::DoesNotSign.into()),
        }
    }

    fn parse(&self, algorithm: Algorithm, parts: Option<&Parts>) -> Result<KeyMaterial, Problem> {
        Ok(match self {
            Self::Ec(number) => {
                // Without the public part (RFC 5915), so that aws-lc computes it.
                let key = EcPrivateKey { private_key: number, parameters: None, public_key: None };
                let der = Zeroizing::new(key.to_der().map_err(|_| Problem::PrivateNumber)?);
                let pair = EcdsaKeyPair::from_private_key_der(ec_method(algorithm), &der);
                KeyMaterial::Ec(pair.map_err(|_| Problem::PrivateNumber)?)
            }
            Self::Okp(seed) => {
                KeyMaterial::Ed(Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Problem::Length(32))?)
            }
            Self::Rsa(private) => {
                let Some(Parts::Rsa { n, e }) = parts else { return Err(Problem::HalvesDiffer) };
                KeyMaterial::Rsa(private.pair(n, e)?)
            }
            Self::Seed(seed) => {
                let pair = PqdsaKeyPair::from_seed(ml_dsa_method(algorithm), seed);
                KeyMaterial::MlDsa(pair.map_err(|_| Problem::Length(32))?)
            }
            Self::Pkcs8(bytes) => KeyMaterial::parse(algorithm, bytes).map_err(|_| Problem::Der)?,
        })
    }
}

impl RsaPrivate {
    /// aws-lc checks that all numbers belong together, but not that the factors are primes.
    fn pair(&self, n: &[u8], e: &[u8]) -> Result<RsaKeyPair, Problem> {
        let numbers = [&self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi];
        // No number may be longer than the modulus; arithmetic with longer numbers would only cost time.
        if numbers.iter().any(|number| number.len() > n.len()) {
            return Err(Problem::HalvesDiffer);
        }
        RsaKeyPair::from_components(&KeyPairComponents {
            public_key: PublicKeyComponents { n, e },
            d: self.d.as_slice(),
            p: self.p.as_slice(),
            q: self.q.as_slice(),
            dP: self.dp.as_slice(),
            dQ: self.dq.as_slice(),
            qInv: self.qi.as_slice(),
        })
        .map_err(|_| Problem::HalvesDiffer)
    }
}

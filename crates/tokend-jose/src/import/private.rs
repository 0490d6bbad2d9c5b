//! Private halves: parsed by aws-lc, and held against the public half that came with them.

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

type Octets = Zeroizing<Vec<u8>>;

/// A private half as it was read.
pub(super) enum Private {
    /// The private number of an elliptic curve.
    Ec(Octets),
    /// The seed of Ed25519.
    Okp(Octets),
    Rsa(Box<RsaPrivate>),
    /// The seed of ML-DSA.
    Seed(Octets),
    /// PKCS#8 with the seed of ML-DSA, its expanded key, or both.
    Pkcs8(Octets),
}

/// The private numbers of RSA (RFC 8017 section 3.2).
pub(super) struct RsaPrivate {
    pub(super) d: Octets,
    pub(super) p: Octets,
    pub(super) q: Octets,
    pub(super) dp: Octets,
    pub(super) dq: Octets,
    pub(super) qi: Octets,
}

impl Private {
    /// Parses this half and proves that it belongs to the public one, whose bare parts come with it. Gives back the
    /// public half, and the private one as `KeyMaterial::parse` reads it.
    pub(super) fn prove(
        &self,
        algorithm: Algorithm,
        public: Option<&PublicKey>,
        parts: Option<&Parts>,
    ) -> Result<(PublicKey, Octets), ImportError> {
        let material = self.parse(algorithm, parts)?;
        let derived = material.public_key(algorithm).ok_or(Problem::HalvesDiffer)?;
        if public.is_some_and(|public| public.to_jwk() != derived.to_jwk()) {
            return Err(Problem::HalvesDiffer.into());
        }
        let octets = match (material.to_pkcs8(), self) {
            (Some(octets), _) => octets,
            // Without the seed, the expanded key stays as it came.
            (None, Self::Pkcs8(octets)) => octets.clone(),
            (None, _) => return Err(Problem::HalvesDiffer.into()),
        };
        // Last, for what only shows in use: that a prime number of RSA is none.
        let message = b"tokend proves an imported key";
        match Signer::in_memory(algorithm, Arc::new(material)).sign(message) {
            Ok(signature) if derived.verifies(message, &signature) => Ok((derived, octets)),
            _ => Err(Problem::DoesNotSign.into()),
        }
    }

    fn parse(&self, algorithm: Algorithm, parts: Option<&Parts>) -> Result<KeyMaterial, Problem> {
        Ok(match self {
            Self::Ec(number) => {
                // Without its public half (RFC 5915), so that aws-lc computes that.
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
            Self::Pkcs8(octets) => KeyMaterial::parse(algorithm, octets).map_err(|_| Problem::Der)?,
        })
    }
}

impl RsaPrivate {
    /// aws-lc checks that all numbers belong together, but not that the factors are primes.
    fn pair(&self, n: &[u8], e: &[u8]) -> Result<RsaKeyPair, Problem> {
        let numbers = [&self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi];
        // None is larger than the modulus; to calculate with larger ones only takes time.
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

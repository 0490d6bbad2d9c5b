//! Kinds of key as they come, and the algorithms that they are for.

use super::problem::{Choice, Problem};
use crate::{
    Algorithm,
    key_type::{KeyType, curve},
};

/// What a key is by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    P256,
    P384,
    Ed25519,
    Rsa,
    /// Each ML-DSA key is for one algorithm from its birth.
    MlDsa(Algorithm),
    Secret,
}

impl Kind {
    /// The one algorithm that a key of this kind is for: by its `own` words, by what the caller `said`, or because there
    /// is no other.
    pub(super) fn algorithm(
        self,
        own: Option<Algorithm>,
        said: Option<Algorithm>,
    ) -> Result<Algorithm, Problem> {
        if let (Some(own), Some(said)) = (own, said)
            && own != said
        {
            return Err(Problem::AlgorithmContradicts { own, said });
        }
        if let Some(algorithm) = own.or(said) {
            return if self.fits(algorithm) {
                Ok(algorithm)
            } else {
                Err(Problem::AlgorithmUnfit(algorithm))
            };
        }
        let fitting =
            Algorithm::ALL.into_iter().filter(|algorithm| self.fits(*algorithm)).collect::<Vec<_>>();
        match fitting.as_slice() {
            [only] => Ok(*only),
            _ => Err(Problem::AlgorithmNeeded(Choice(fitting))),
        }
    }

    /// How many bytes a coordinate or a private number of the curve has.
    pub(super) const fn number_len(self) -> usize {
        match self {
            Self::P384 => 48,
            _ => 32,
        }
    }

    fn fits(self, algorithm: Algorithm) -> bool {
        match self {
            Self::P256 => curve(algorithm) == Some("P-256"),
            Self::P384 => curve(algorithm) == Some("P-384"),
            Self::Ed25519 => curve(algorithm) == Some("Ed25519"),
            Self::Rsa => KeyType::of(algorithm) == KeyType::Rsa,
            Self::MlDsa(only) => algorithm == only,
            Self::Secret => KeyType::of(algorithm) == KeyType::Oct,
        }
    }
}

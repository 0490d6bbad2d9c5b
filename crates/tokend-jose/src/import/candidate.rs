//! Keys that were read and are not checked yet.

use super::{
    check,
    imported_key::ImportedKey,
    private::Private,
    problem::{Choice, ImportError, Problem},
};
use crate::{
    Algorithm,
    key_type::{KeyType, curve},
    public_key::Parts,
};

/// A key that was read, before it is checked.
pub(super) struct Candidate {
    pub(super) kind: Kind,
    /// The public part, if the material contains it. RSA material always does.
    pub(super) public: Option<Parts>,
    /// The private part, if the material contains it. At least one part is there.
    pub(super) private: Option<Private>,
}

impl Candidate {
    /// Checks the key, for the algorithm that it `declared` or that the caller `requested`.
    pub(super) fn check(
        self,
        declared: Option<Algorithm>,
        requested: Option<Algorithm>,
    ) -> Result<ImportedKey, ImportError> {
        let algorithm = self.kind.algorithm(declared, requested)?;
        let public = self.public.as_ref().map(|parts| check::public_key(algorithm, parts)).transpose()?;
        let Some(private) = self.private else {
            return Ok(ImportedKey { key_id: None, algorithm, public, private: None, may_sign: false });
        };
        let (public, bytes) = private.prove(algorithm, public.as_ref(), self.public.as_ref())?;
        Ok(ImportedKey {
            key_id: None,
            algorithm,
            public: Some(public),
            private: Some(bytes),
            may_sign: true,
        })
    }
}

/// The kind of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    P256,
    P384,
    Ed25519,
    Rsa,
    /// An ML-DSA key is for one algorithm.
    MlDsa(Algorithm),
    Secret,
}

impl Kind {
    /// The algorithm of a key of this kind: the one that it `declared`, that the caller `requested`, or the only one of the kind.
    pub(super) fn algorithm(
        self,
        declared: Option<Algorithm>,
        requested: Option<Algorithm>,
    ) -> Result<Algorithm, Problem> {
        if let (Some(declared), Some(requested)) = (declared, requested)
            && declared != requested
        {
            return Err(Problem::AlgorithmContradicts { declared, requested });
        }
        if let Some(algorithm) = declared.or(requested) {
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

    /// The length of a coordinate or a private number of the curve, in bytes.
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

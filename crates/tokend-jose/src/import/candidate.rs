//! Keys between reading and taking.

use super::{check, imported_key::ImportedKey, kind::Kind, private::Private, problem::ImportError};
use crate::{Algorithm, public_key::Parts};

/// A key as it was read, before it is judged.
pub(super) struct Candidate {
    pub(super) kind: Kind,
    /// The public half, where the material holds it; always for RSA.
    pub(super) public: Option<Parts>,
    /// The private half. There is one half at least.
    pub(super) private: Option<Private>,
}

impl Candidate {
    /// The key, if it is sound, and for the algorithm that it names itself (`own`) or that the caller `said`.
    pub(super) fn judge(
        self,
        own: Option<Algorithm>,
        said: Option<Algorithm>,
    ) -> Result<ImportedKey, ImportError> {
        let algorithm = self.kind.algorithm(own, said)?;
        let public = self.public.as_ref().map(|parts| check::public_key(algorithm, parts)).transpose()?;
        let Some(private) = self.private else {
            return Ok(ImportedKey { key_id: None, algorithm, public, private: None, may_sign: false });
        };
        let (public, octets) = private.prove(algorithm, public.as_ref(), self.public.as_ref())?;
        Ok(ImportedKey {
            key_id: None,
            algorithm,
            public: Some(public),
            private: Some(octets),
            may_sign: true,
        })
    }
}

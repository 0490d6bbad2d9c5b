//! The algorithms of `jsonwebtoken`, which has all but ML-DSA, and keys as its traits describe them.

use jsonwebtoken::{
    crypto::{JwtSigner, JwtVerifier},
    signature::{Error, Signer, Verifier},
};

use crate::model::{Algorithm, UnknownAlgorithm};

impl TryFrom<Algorithm> for jsonwebtoken::Algorithm {
    type Error = UnknownAlgorithm;

    fn try_from(algorithm: Algorithm) -> Result<Self, UnknownAlgorithm> {
        algorithm.name().parse().map_err(|_| UnknownAlgorithm)
    }
}

impl TryFrom<jsonwebtoken::Algorithm> for Algorithm {
    type Error = UnknownAlgorithm;

    fn try_from(algorithm: jsonwebtoken::Algorithm) -> Result<Self, UnknownAlgorithm> {
        let same = |ours: &Self| jsonwebtoken::Algorithm::try_from(*ours).ok() == Some(algorithm);
        Self::ALL.into_iter().find(same).ok_or(UnknownAlgorithm)
    }
}

/// A key together with jsonwebtoken's name for its one algorithm.
pub(super) struct Named<K> {
    pub(super) name: jsonwebtoken::Algorithm,
    pub(super) key: K,
}

impl<K: Signer<Vec<u8>>> Signer<Vec<u8>> for Named<K> {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.key.try_sign(message)
    }
}

impl<K: Signer<Vec<u8>>> JwtSigner for Named<K> {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.name
    }
}

impl<K: Verifier<Vec<u8>>> Verifier<Vec<u8>> for Named<K> {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        self.key.verify(message, signature)
    }
}

impl<K: Verifier<Vec<u8>>> JwtVerifier for Named<K> {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.name
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Algorithm;

    #[test]
    fn every_algorithm_but_ml_dsa_converts_there_and_back() {
        for ours in Algorithm::ALL {
            let theirs = jsonwebtoken::Algorithm::try_from(ours).ok();
            assert_eq!(theirs.is_none(), ours.name().starts_with("ML-DSA"), "{ours}");
            assert_eq!(theirs.map(|theirs| format!("{theirs:?}")), theirs.map(|_| ours.name().to_owned()));
            assert_eq!(theirs.and_then(|theirs| Algorithm::try_from(theirs).ok()), theirs.map(|_| ours));
        }
    }
}

//! Keys that nobody signs with: where there is no key to check a signature with, one of them costs the same time.

use super::{
    key_type::KeyType,
    material::KeyMaterial,
    material_error::MaterialError,
    public_key::{Parts, PublicKey},
};
use crate::{model::Algorithm, random::RandomError};

/// One key for each algorithm and each usual length of signature.
pub(crate) struct Decoys(Vec<PublicKey>);

impl Decoys {
    /// Makes them.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(crate) fn generate() -> Result<Self, RandomError> {
        // To make a key, randomness is all that it takes.
        Self::make().map_err(|_| RandomError)
    }

    fn make() -> Result<Self, MaterialError> {
        let mut keys = Vec::new();
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric()) {
            match KeyType::of(algorithm) {
                KeyType::Rsa => keys.extend(rsa(algorithm)?),
                _ => {
                    let material = KeyMaterial::parse(algorithm, &KeyMaterial::generate(algorithm)?)?;
                    keys.extend(material.public_key(algorithm));
                }
            }
        }
        Ok(Self(keys))
    }

    /// Whether `signature` over `message` is by `key` and with `algorithm`. Without a key, or with one that makes no such
    /// signatures, it is not, and that takes as long: only what the caller itself wrote tells how long, never whether there
    /// is a key. RSA keys of unusual lengths alone would show.
    pub(crate) fn verify(
        &self,
        key: Option<&PublicKey>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let fits = |key: &PublicKey| key.algorithm() == algorithm && key.could_have_made(signature);
        match key.filter(|key| fits(key)) {
            Some(key) => key.verifies(message, signature),
            None => {
                let decoy = self.0.iter().find(|key| fits(key));
                std::hint::black_box(decoy.is_some_and(|decoy| decoy.verifies(message, signature)));
                false
            }
        }
    }
}

/// To make true RSA keys takes a tenth of a second each. Any odd number costs a verifier the same as a product of two primes;
/// the largest one of its length has room for every signature.
fn rsa(algorithm: Algorithm) -> Result<[PublicKey; 3], MaterialError> {
    let key = |len| PublicKey::new(algorithm, &Parts::Rsa { n: vec![0xff; len], e: vec![1, 0, 1] });
    Ok([key(256)?, key(384)?, key(512)?])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::Decoys;
    use crate::model::Algorithm;

    #[test]
    fn there_is_one_for_each_algorithm_and_none_ever_agrees() {
        let decoys = Decoys::generate().unwrap();
        for algorithm in Algorithm::ALL {
            let count = decoys.0.iter().filter(|key| key.algorithm() == algorithm).count();
            let rsa = matches!(algorithm.name().get(..2), Some("RS" | "PS"));
            assert_eq!(
                count,
                if algorithm.is_symmetric() {
                    0
                } else if rsa {
                    3
                } else {
                    1
                },
                "{algorithm}"
            );
        }
        for decoy in &decoys.0 {
            for len in [1, 64, 96, 256, 384, 512, 2420, 3309, 4627] {
                let signature = vec![1; len];
                assert!(!decoys.verify(None, decoy.algorithm(), b"message", &signature));
                assert!(!decoys.verify(Some(decoy), decoy.algorithm(), b"message", &signature));
            }
        }
    }
}

//! Dummy keys: where there is no key to check a signature with, verifying with a dummy key takes the same time.

use crate::{
    Algorithm,
    key_type::KeyType,
    material::KeyMaterial,
    material_error::MaterialError,
    public_key::{Parts, PublicKey},
};

/// Public keys without a signer, for each algorithm and each usual signature length.
pub struct DummyKeys(Vec<PublicKey>);

impl DummyKeys {
    /// Generates the keys.
    ///
    /// # Errors
    /// When the system's random number generator fails.
    pub fn generate() -> Result<Self, MaterialError> {
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

    /// Whether `signature` over `message` was made by `key` with `algorithm`. Without a key, or with a key that cannot have made the
    /// signature, returns false after as much work: the time depends on what the caller sent, not on whether there is a key. Only RSA
    /// keys of unusual lengths would show.
    pub fn verify(
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
                let dummy = self.0.iter().find(|key| fits(key));
                std::hint::black_box(dummy.is_some_and(|dummy| dummy.verifies(message, signature)));
                false
            }
        }
    }
}

/// RSA keys whose modulus is no product of two primes, because generating real ones takes a tenth of a second each. Verifying costs
/// the same for any odd modulus; the largest one of a length accepts signatures of every value.
fn rsa(algorithm: Algorithm) -> Result<[PublicKey; 3], MaterialError> {
    let key = |len| PublicKey::new(algorithm, &Parts::Rsa { n: vec![0xff; len], e: vec![1, 0, 1] });
    Ok([key(256)?, key(384)?, key(512)?])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_for_each_algorithm_and_none_ever_agrees() {
        let dummies = DummyKeys::generate().unwrap();
        for algorithm in Algorithm::ALL {
            let count = dummies.0.iter().filter(|key| key.algorithm() == algorithm).count();
            let expected = match KeyType::of(algorithm) {
                KeyType::Oct => 0,
                KeyType::Rsa => 3,
                _ => 1,
            };
            assert_eq!(count, expected, "{algorithm}");
        }
        for dummy in &dummies.0 {
            for len in [1, 64, 96, 256, 384, 512, 2420, 3309, 4627] {
                let signature = vec![1; len];
                assert!(!dummies.verify(None, dummy.algorithm(), b"message", &signature));
                assert!(!dummies.verify(Some(dummy), dummy.algorithm(), b"message", &signature));
            }
        }
    }
}

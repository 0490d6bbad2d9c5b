//! Keys as the traits of jsonwebtoken describe them.

use jsonwebtoken::{
    crypto::{JwtSigner, JwtVerifier},
    signature::{Error, Signer, Verifier},
};

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

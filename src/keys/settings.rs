//! What steers the keys, and what can be wrong with them.

use std::{fmt, time::Duration};

use zeroize::Zeroizing;

use super::SealingKey;
use crate::{
    jose::MaterialError,
    model::{Algorithm, KeyId},
    store::StoreError,
};

/// What steers the keys.
#[derive(Debug)]
pub struct KeySettings {
    /// Seals private keys in the store.
    pub sealing_key: SealingKey,
    /// The algorithms that sign, the default first; each is given a key at the first start.
    pub algorithms: Vec<Algorithm>,
    /// The secret for the HS algorithm among them, shared with services outside of tokend.
    pub shared_secret: Option<SharedSecret>,
    /// How long after a look for an unknown key id the store is not asked for another.
    pub unknown_key_pause: Duration,
    /// How long verifiers may keep the JWK set.
    pub jwks_max_age: Duration,
}

/// A secret for HMAC that others hold too. It cannot be printed.
pub struct SharedSecret(pub Zeroizing<Vec<u8>>);

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(redacted)")
    }
}

/// What can be wrong with the keys. Its text is for operators and the log.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key was sealed under another sealing key, or its row was changed.
    #[error(
        "the sealing key (setting `sealing_key`) does not open the stored key {key_id}: it was sealed under {sealed_under}, \
         this is {configured}"
    )]
    WrongSealingKey {
        /// The key.
        key_id: KeyId,
        /// The id of the sealing key that it was sealed under.
        sealed_under: String,
        /// The id of the configured sealing key.
        configured: String,
    },
    /// A sealed key is damaged.
    #[error("the stored key {0} is damaged: it does not open under the very sealing key that sealed it")]
    Damaged(KeyId),
    /// A key's octets are not what its row says.
    #[error("the stored key {0} cannot be used: {1}")]
    Unusable(KeyId, String),
    /// A key cannot be made or sealed.
    #[error("a {0} key could not be made: {1}")]
    Make(Algorithm, String),
    /// The shared secret and the algorithms do not fit.
    #[error("setting `shared_secret`: {0}")]
    SharedSecret(String),
}

impl KeyError {
    pub(super) fn make(algorithm: Algorithm, error: &MaterialError) -> Self {
        Self::Make(algorithm, error.to_string())
    }
}

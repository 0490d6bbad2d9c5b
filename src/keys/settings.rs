//! What steers the keys, and what can be wrong with them.

use std::{fmt, time::Duration};

use zeroize::Zeroizing;

use super::{RotationSchedule, SealingError, SealingSettings};
use crate::{
    jose::MaterialError,
    model::{Algorithm, ClientId, KeyId, KeyState, SealingKeyId, TransitionError},
    store::StoreError,
};

/// What steers the keys.
#[derive(Debug)]
pub struct KeySettings {
    /// Where the sealing keys are that private keys in the store are sealed under.
    pub sealing: SealingSettings,
    /// The algorithms that sign, the default first; each is given a key at the first start.
    pub algorithms: Vec<Algorithm>,
    /// The secret for the HS algorithm among them, shared with services outside of tokend.
    pub shared_secret: Option<SharedSecret>,
    /// The shortest time between the beginnings of two look-ups in the store for keys that are not in memory.
    pub lookup_interval: Duration,
    /// How long a call waits for such a look-up. It must be longer than the interval.
    pub lookup_wait: Duration,
    /// How long verifiers may keep the JWK set.
    pub jwks_max_age: Duration,
    /// When keys are published, sign, retire and go.
    pub schedule: RotationSchedule,
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
    /// A provider gives no sealing key to seal with.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The sealing key of a stored key is not at hand.
    #[error(
        "the stored key {key_id} does not open: it is sealed under the sealing key {sealing_key_id}, {problem}"
    )]
    SealingKeyMissing {
        /// The key.
        key_id: KeyId,
        /// The sealing key that it is sealed under.
        sealing_key_id: SealingKeyId,
        /// Why that is not at hand.
        problem: String,
    },
    /// A sealed key is damaged.
    #[error("the stored key {0} is damaged: it does not open under the very sealing key that sealed it")]
    Damaged(KeyId),
    /// The row of a stored key fails its check, and the key is not used.
    #[error("the stored key {0} is not trusted: {1}; restore its row from a backup, or revoke the key")]
    Untrusted(KeyId, String),
    /// The row of a stored client fails its check.
    #[error("the stored client {0} is not trusted: {1}; restore its row from a backup, or delete the client")]
    UntrustedClient(ClientId, String),
    /// A key's octets are not what its row says.
    #[error("the stored key {0} cannot be used: {1}")]
    Unusable(KeyId, String),
    /// A key cannot be made or sealed.
    #[error("a {0} key could not be made: {1}")]
    Make(Algorithm, String),
    /// Keys cannot be sealed anew.
    #[error("not sealed anew: {0}")]
    Reseal(String),
    /// The shared secret and the algorithms do not fit.
    #[error("setting `shared_secret`: {0}")]
    SharedSecret(String),
    /// There is no key of that id.
    #[error("there is no such key")]
    NotFound,
    /// The key is there already, under this id or another.
    #[error("the key is there already: {0}, which is {name}", name = .1.name())]
    AlreadyThere(KeyId, KeyState),
    /// A key from elsewhere was not taken in.
    #[error("{0}: {1}")]
    Refused(String, String),
    /// The algorithm's secret is shared by others, and does not rotate by itself.
    #[error("the secret of {0} is shared with others (setting `shared_secret`), and does not rotate")]
    Shared(Algorithm),
    /// So many keys were rotated ahead of time that the JWK set would grow too large.
    #[error("too many {0} keys have retired whose tokens may still live; revoke some or wait")]
    TooManyRetired(Algorithm),
    /// There are as many keys that only verify as may be.
    #[error("there may be at most {0} keys that only verify; revoke some")]
    TooManyVerifying(usize),
    /// A key cannot take that step from where it stands.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// Other replicas changed the keys again and again.
    #[error("the keys were changed again and again by others")]
    Contended,
}

impl KeyError {
    /// A key from elsewhere that is not taken in, because of the field.
    pub(super) fn refused(field: &str, problem: &str) -> Self {
        Self::Refused(field.to_owned(), problem.to_owned())
    }

    pub(super) fn make(algorithm: Algorithm, error: &MaterialError) -> Self {
        Self::Make(algorithm, error.to_string())
    }
}

//! The settings and the errors of keys.

use std::{fmt, time::Duration};

use zeroize::Zeroizing;

use super::{RotationSchedule, SealingError, SealingSettings};
use crate::{
    jose::MaterialError,
    model::{Algorithm, ClientId, KeyId, KeyState, SealingKeyId, TransitionError},
    store::StoreError,
};

/// The settings of keys.
#[derive(Debug)]
pub struct KeySettings {
    /// The sealing keys, under which private keys are sealed in the store.
    pub sealing: SealingSettings,
    /// The algorithms that sign, the default first.
    pub algorithms: Vec<Algorithm>,
    /// The secret of the HS algorithm among them, which is shared with other services.
    pub shared_secret: Option<SharedSecret>,
    /// The minimum interval of look-ups in the store for keys that are not in memory.
    pub lookup_interval: Duration,
    /// The timeout of a call that waits for such a look-up. It must be longer than the interval.
    pub lookup_wait: Duration,
    /// The time for which verifiers may cache the JWK set.
    pub jwks_max_age: Duration,
    /// The rotation schedule.
    pub schedule: RotationSchedule,
}

/// An HMAC secret that other services share. It cannot be printed.
pub struct SharedSecret(pub Zeroizing<Vec<u8>>);

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(redacted)")
    }
}

/// An error of a key. Its text is for operators and the log.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A provider returns no sealing key.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The sealing key of a stored key is not in memory.
    #[error(
        "the stored key {key_id} does not open: it is sealed under the sealing key {sealing_key_id}, {problem}"
    )]
    SealingKeyMissing {
        /// The key.
        key_id: KeyId,
        /// The sealing key that it is sealed under.
        sealing_key_id: SealingKeyId,
        /// Why the sealing key is not in memory.
        problem: String,
    },
    /// A sealed key is damaged.
    #[error(
        "the stored key {0} is damaged: it does not open under its sealing key; restore its row from a backup, or revoke the key"
    )]
    Damaged(KeyId),
    /// The row of a stored key has no valid MAC, and the key is not used.
    #[error("the stored key {0} is not trusted: {1}; restore its row from a backup, or revoke the key")]
    Untrusted(KeyId, String),
    /// The row of a stored client has no valid MAC.
    #[error("the stored client {0} is not trusted: {1}; restore its row from a backup, or delete the client")]
    UntrustedClient(ClientId, String),
    /// The material of a stored key does not fit its row.
    #[error("the stored key {0} cannot be used: {1}")]
    Unusable(KeyId, String),
    /// A key cannot be generated or sealed.
    #[error("a {0} key could not be generated: {1}")]
    Make(Algorithm, String),
    /// Keys cannot be resealed.
    #[error("not resealed: {0}")]
    Reseal(String),
    /// The shared secret and the algorithms do not fit.
    #[error("setting `shared_secret`: {0}")]
    SharedSecret(String),
    /// The clock is in doubt, so that no key is generated or rotated.
    #[error(
        "the server's clock is in doubt: correct it, or accept it with `tokend key accept-clock`; see the log for details"
    )]
    ClockInDoubt,
    /// No key has that id.
    #[error("the key does not exist")]
    NotFound,
    /// The key already exists, under this id or another.
    #[error("the key already exists: {0}, which is {name}", name = .1.name())]
    AlreadyExists(KeyId, KeyState),
    /// A key cannot be imported.
    #[error("{0}: {1}")]
    Refused(String, String),
    /// The key of the algorithm is the shared secret.
    #[error("the {0} key is the secret of the setting `shared_secret`, which cannot be rotated")]
    Shared(Algorithm),
    /// There are so many retired keys that the JWK set would grow too large.
    #[error("there are too many retired {0} keys whose tokens may not have expired; revoke some or wait")]
    TooManyRetired(Algorithm),
    /// The limit of keys that only verify is reached.
    #[error("at most {0} keys that only verify are allowed; revoke some")]
    TooManyVerifying(usize),
    /// The key's state does not allow the operation.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// Other replicas changed the keys during each attempt.
    #[error("the keys were changed by other replicas during each attempt; retry")]
    Contended,
}

impl KeyError {
    /// An import that is rejected because of this field.
    pub(super) fn refused(field: &str, problem: &str) -> Self {
        Self::Refused(field.to_owned(), problem.to_owned())
    }

    pub(super) fn make(algorithm: Algorithm, error: &MaterialError) -> Self {
        Self::Make(algorithm, error.to_string())
    }
}

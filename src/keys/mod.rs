//! Signing keys: sealed in the store, parsed once, read by every request from a lock-free snapshot, and rotated by a plan that every
//! replica computes by itself.
//!
//! May import: `audit`, `store`, `https_client`, `jose`, `model`, `clock`, `random`. Invariants: private key material leaves this module
//! only sealed; a key signs only after it was published for `publish_ahead`; no token outlives its key.

mod bootstrap;
mod checked;
mod jwks;
mod key_manager;
mod key_ring;
mod lookup;
mod make;
mod operations;
mod plan;
mod replicas;
mod reseal;
mod ring;
mod schedule;
mod seal;
mod settings;
mod trust;
mod verifiers;

pub use jwks::JwkSetDocument;
pub(crate) use jwks::etag;
pub use key_manager::KeyManager;
pub(crate) use key_ring::KeyLookup;
pub use key_ring::{KeyRing, inspect};
pub(crate) use operations::ImportTerms;
pub use reseal::{Outcome, Resealed, ResealedClient, Resealing, reseal};
pub(crate) use ring::{Ring, RingKey};
pub use schedule::{CLOCK_MARGIN, RotationSchedule, ScheduleError, ScheduleSettings};
pub(crate) use seal::RowCheck;
pub use seal::{
    LocalKeysError, Patience, Retry, SealWith, Sealer, SealingError, SealingKey, SealingKeyError,
    SealingProvider, SealingSettings, VaultSettings, parse_local_keys,
};
pub use settings::{KeyError, KeySettings, SharedSecret};
pub use trust::{News, RevokedKey, TrustState, TrustUpdate};
pub use verifiers::{TooManyWatches, VerifierCaps, Verifiers, Watch};

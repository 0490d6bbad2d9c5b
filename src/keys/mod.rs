//! Signing keys: kept sealed in the store, parsed once, read by every request from a lock-free snapshot, and rotated by
//! a plan that every replica comes to by itself.
//!
//! May import: `audit`, `store`, `jose`, `model`, `clock`, `random`. Invariants: private material leaves this floor only sealed; a key
//! signs only after it was published for long enough; no token outlives its key.

mod bootstrap;
mod checked;
mod https;
mod jwks;
mod keeper;
mod key_ring;
mod lookup;
mod make;
mod orders;
mod plan;
mod replicas;
mod reseal;
mod ring;
mod schedule;
mod seal;
mod settings;
mod trust;
mod verifiers;

pub(crate) use https::{https_client, read_token, sources};
pub use jwks::JwkSetDocument;
pub(crate) use jwks::etag;
pub use keeper::Keeper;
pub(crate) use key_ring::KeyLookup;
pub use key_ring::KeyRing;
pub(crate) use orders::ImportTerms;
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

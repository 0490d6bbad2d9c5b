//! Signing keys: kept sealed in the store, parsed once, and read by every request from a lock-free snapshot.
//!
//! May import: `store`, `jose`, `model`, `clock`. Invariant: private material leaves this floor only sealed.

mod bootstrap;
mod jwks;
mod key_ring;
mod ring;
mod seal;
mod settings;

pub use jwks::JwkSetDocument;
pub(crate) use jwks::etag;
pub(crate) use key_ring::KeyLookup;
pub use key_ring::KeyRing;
pub(crate) use ring::{Ring, RingKey};
pub use seal::{SealingKey, SealingKeyError};
pub use settings::{KeyError, KeySettings, SharedSecret};

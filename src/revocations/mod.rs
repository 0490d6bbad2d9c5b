//! What is revoked, in memory: followed from the store, and asked on every verification.
//!
//! May import: `store`, `model`, `clock`. Invariant: a revocation that was read, or made here, is in force until it has expired,
//! whatever the store says later.

mod settings;
mod view;

pub use settings::RevocationSettings;
pub use view::{Revocations, Stale};

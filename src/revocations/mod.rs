//! What is revoked, in memory: followed from the store, and asked on every verification.
//!
//! May import: `store`, `model`, `clock`. Invariant: a revocation that was read, or made here, is in force until it has expired,
//! whatever the store says later.

mod compact;
mod entry;
mod log;
mod overlay;
mod purge;
mod set;
mod settings;
mod shards;
#[cfg(test)]
mod tests;
mod view;

pub use entry::Kind;
pub use settings::RevocationSettings;
pub use view::{Revocations, Stale};

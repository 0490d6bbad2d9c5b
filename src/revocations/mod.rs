//! The revocations in memory: read from the store in the order of their changes, and checked on every verification.
//!
//! May import: `store`, `model`, `clock`. Invariant: a revocation that was read, or made here, is in force until it has expired,
//! whatever the store returns later.

mod cleanup;
mod compact_entry;
mod entry;
mod log;
mod overlay;
mod set;
mod shards;
#[cfg(test)]
mod tests;
mod view;

pub use entry::Kind;
pub use view::{RevocationSettings, Revocations, Stale};

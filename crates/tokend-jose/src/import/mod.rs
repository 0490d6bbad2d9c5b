//! Keys from elsewhere: PEM, JWK and JWK sets, and HMAC secrets, read and judged before anything is done with them.
//!
//! Invariant: what leaves here is a sound key for one algorithm, whose halves belong together. Why something is refused
//! is told without anything of the material.

mod candidate;
mod check;
mod der;
mod edwards;
mod imported_key;
mod jwk;
mod kind;
mod members;
mod pem;
mod private;
mod problem;
mod secret;
mod set;
mod source;
#[cfg(test)]
mod tests;

pub use imported_key::{Imported, ImportedKey, SkippedKey};
pub(super) use jwk::read as read_jwk;
pub use problem::ImportError;
pub use source::{Source, import};

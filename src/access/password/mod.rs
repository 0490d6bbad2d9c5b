//! User passwords: rules for new ones, hashing, and import of hashes.
//!
//! Invariant: no text made here contains a password or a hash, and the number of concurrent hash computations is bounded.

mod encoded;
mod hasher;
mod rules;
mod work;

pub use encoded::ImportError;
pub use hasher::{HashError, HashingSettings, PasswordHasher};
pub use rules::WeakPassword;
pub(crate) use rules::check as check_password;
pub(crate) use work::PasswordMatch;
pub use work::{HashCost, WorkError};

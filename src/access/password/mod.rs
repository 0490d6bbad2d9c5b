//! People's passwords: which are good enough, how they are hashed, and how hashes from elsewhere are read.
//!
//! Invariant: no password and no hash is in any text made here, and never more are hashed at once than the setting allows.

mod encoded;
mod hasher;
mod rules;
mod work;

pub use encoded::ImportError;
pub(crate) use hasher::Compared;
pub use hasher::{HashError, HashingSettings, PasswordHasher};
pub use rules::WeakPassword;
pub(crate) use rules::check as check_password;
pub use work::{HashCost, WorkError};

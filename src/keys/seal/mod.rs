//! Sealing: private keys are encrypted at rest with a sealing key, which comes from a provider.
//!
//! Invariant: providers are called when sealing keys are loaded, never when they are used. Sealing and unsealing read memory only.

mod key;
mod local;
mod provider;
mod rows;
mod sealer;
mod settings;
mod vault;
mod vault_answer;
mod vault_http;

pub use key::{SealingKey, SealingKeyError};
pub use local::{LocalKeysError, parse_local_keys};
pub use provider::{Patience, SealingError, SealingProvider};
pub(crate) use rows::RowCheck;
pub use sealer::Sealer;
pub use settings::{Retry, SealWith, SealingSettings, VaultSettings};

//! Sealing: private keys at rest are ciphertext under a sealing key, and sealing keys come from providers.
//!
//! Invariant: a provider is asked when keys are loaded, never when one is used; sealing and opening read memory alone.

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

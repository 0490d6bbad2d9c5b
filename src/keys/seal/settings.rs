//! The settings of sealing.

use std::{path::PathBuf, sync::Arc, time::Duration};

use url::Url;

use super::SealingKey;

/// The providers of sealing keys.
#[derive(Debug, Clone)]
pub struct SealingSettings {
    /// Sealing keys from a variable or a file, in order.
    pub local: Vec<Arc<SealingKey>>,
    /// Vault, which wraps sealing keys that are kept in the store.
    pub vault: Option<VaultSettings>,
    /// The provider whose first key seals. Keys of both unseal.
    pub seal_with: SealWith,
    /// Whether rows of keys and clients are rejected if they have no MAC.
    pub require_row_macs: bool,
}

impl SealingSettings {
    /// A single local sealing key.
    pub fn only(key: SealingKey) -> Self {
        Self { local: vec![Arc::new(key)], vault: None, seal_with: SealWith::Local, require_row_macs: false }
    }
}

/// The provider that seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealWith {
    /// The first local sealing key.
    Local,
    /// The newest sealing key that Vault wrapped.
    Vault,
}

/// The address of HashiCorp Vault or OpenBao, and the key of its Transit engine that wraps.
#[derive(Debug, Clone)]
pub struct VaultSettings {
    /// Its address, without `/v1`.
    pub addr: Url,
    /// The file with the token. It is read for each request, because agents renew it.
    pub token_file: PathBuf,
    /// The mount path of the Transit engine.
    pub mount: String,
    /// The name of the key.
    pub key: String,
    /// The namespace of the mount.
    pub namespace: Option<String>,
    /// The certificate authorities for Vault, in PEM; by default those of the system.
    pub ca_file: Option<PathBuf>,
    /// The retry settings.
    pub retry: Retry,
}

/// The settings of retries.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// The timeout of an attempt.
    pub attempt: Duration,
    /// The pause after the first failure; each further pause is twice as long.
    pub first_pause: Duration,
    /// The longest pause, even if Vault requests a longer one.
    pub longest_pause: Duration,
    /// The time after which no new attempt begins.
    pub patience: Duration,
}

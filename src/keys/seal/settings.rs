//! What steers sealing.

use std::{path::PathBuf, sync::Arc, time::Duration};

use url::Url;

use super::SealingKey;

/// Where sealing keys come from.
#[derive(Debug, Clone)]
pub struct SealingSettings {
    /// Sealing keys from a variable or a file, the first first.
    pub local: Vec<Arc<SealingKey>>,
    /// Vault, which wraps sealing keys that are kept in the store.
    pub vault: Option<VaultSettings>,
    /// Which of the two seals. Both open.
    pub seal_with: SealWith,
    /// Whether rows that decide trust are refused if they have no MAC.
    pub require_row_macs: bool,
}

impl SealingSettings {
    /// One sealing key, which is all there is.
    pub fn only(key: SealingKey) -> Self {
        Self { local: vec![Arc::new(key)], vault: None, seal_with: SealWith::Local, require_row_macs: false }
    }
}

/// What seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealWith {
    /// The first local sealing key.
    Local,
    /// The newest sealing key that Vault wrapped.
    Vault,
}

/// How HashiCorp Vault or OpenBao is reached, and which key of its Transit engine wraps.
#[derive(Debug, Clone)]
pub struct VaultSettings {
    /// Its address, without `/v1`.
    pub addr: Url,
    /// The file that holds the token. Read each time, for agents renew it.
    pub token_file: PathBuf,
    /// Where the Transit engine is mounted.
    pub mount: String,
    /// The name of the key.
    pub key: String,
    /// The namespace that both are in.
    pub namespace: Option<String>,
    /// The certificates, in PEM, that Vault's must come from; the system's if there is none.
    pub ca_file: Option<PathBuf>,
    /// How often and how long it is tried.
    pub retry: Retry,
}

/// How often and how long something is tried.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// The longest that one attempt may take.
    pub attempt: Duration,
    /// The pause after the first failure; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause, also if more is asked for.
    pub longest_pause: Duration,
    /// After how long nothing new is begun.
    pub patience: Duration,
}

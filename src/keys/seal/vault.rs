//! HashiCorp Vault or OpenBao as a provider: sealing keys are wrapped by its Transit engine, and kept in the store.
//!
//! A sealing key is made here, wrapped there once, and unwrapped once at each start. So Vault sees no private key, and
//! may be away while tokend runs.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{Patience, SealingError, SealingKey, SealingProvider, VaultSettings, vault_http::VaultHttp};
use crate::{
    clock::Clock,
    model::{SealingKeyId, SealingKeyRecord},
    store::Store,
};

/// The settings that name the wrapping key.
const SETTINGS: &str = "`vault_key`";

/// Wraps and unwraps sealing keys.
#[derive(Debug)]
pub(super) struct Vault {
    http: VaultHttp,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    /// Which Transit key wraps, as the store writes it: a wrapped key is of use to that one only.
    name: String,
    /// What was unwrapped already, and is not asked for again.
    unwrapped: Mutex<HashMap<SealingKeyId, Arc<SealingKey>>>,
}

impl Vault {
    /// Reads Vault's certificates; asks nothing.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn new(
        settings: &VaultSettings,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SealingError> {
        // A namespace and a mount in it are one path (Vault's documentation: "Namespaces").
        let namespace = settings.namespace.as_deref().map(|namespace| namespace.trim_matches('/'));
        let parts = namespace.into_iter().chain([settings.mount.as_str(), settings.key.as_str()]);
        let name = format!("vault:{}", parts.collect::<Vec<_>>().join("/"));
        let unwrapped = Mutex::default();
        Ok(Self { http: VaultHttp::new(settings)?, store, clock, name, unwrapped })
    }

    /// The newest wrapped key of this provider.
    async fn newest(&self) -> Result<Option<SealingKeyRecord>, SealingError> {
        let records = self.store.sealing_keys().await?;
        Ok(records.into_iter().rfind(|record| record.provider == self.name))
    }

    /// A fresh key in the place of `after`, unless another replica was faster.
    async fn make(
        &self,
        after: Option<SealingKeyId>,
        patience: Patience,
    ) -> Result<Arc<SealingKey>, SealingError> {
        let key = SealingKey::generate()?;
        let wrapped = self.http.encrypt(key.octets(), patience).await?;
        let candidate = SealingKeyRecord {
            sealing_key_id: key.id(),
            provider: self.name.clone(),
            wrapped: wrapped.into_bytes(),
            create_time: self.clock.now(),
        };
        // Before anything is sealed under it: a token that may encrypt and not decrypt is noticed now, and not at the
        // next start.
        self.unwrap(&candidate, patience).await?;
        let winner = self.store.ensure_sealing_key(&candidate, after).await?;
        if winner.sealing_key_id == key.id() {
            tracing::info!(sealing_key_id = %key.id(), provider = %self.name, "a sealing key was made and wrapped");
        }
        self.unwrap(&winner, patience).await
    }

    async fn unwrap(
        &self,
        record: &SealingKeyRecord,
        patience: Patience,
    ) -> Result<Arc<SealingKey>, SealingError> {
        let id = record.sealing_key_id;
        let mut unwrapped = self.unwrapped.lock().await;
        if let Some(key) = unwrapped.get(&id) {
            return Ok(Arc::clone(key));
        }
        let damaged = || SealingError::Damaged(id);
        let wrapped = str::from_utf8(&record.wrapped).map_err(|_| damaged())?;
        let octets = self.http.decrypt(wrapped, patience).await?;
        let octets = <[u8; 32]>::try_from(octets.as_slice()).map(Zeroizing::new).map_err(|_| damaged())?;
        let key = SealingKey::from_octets(octets).map_err(|_| damaged())?;
        // The id is made from the key: another key in its place is noticed.
        if key.id() != id {
            return Err(damaged());
        }
        let key = Arc::new(key);
        unwrapped.insert(id, Arc::clone(&key));
        Ok(key)
    }
}

#[async_trait]
impl SealingProvider for Vault {
    fn settings(&self) -> &'static str {
        SETTINGS
    }

    async fn first(&self, patience: Patience) -> Result<Arc<SealingKey>, SealingError> {
        match self.newest().await? {
            Some(record) => self.unwrap(&record, patience).await,
            None => self.make(None, patience).await,
        }
    }

    async fn find(
        &self,
        id: SealingKeyId,
        patience: Patience,
    ) -> Result<Option<Arc<SealingKey>>, SealingError> {
        let records = self.store.sealing_keys().await?;
        let Some(record) = records.iter().find(|record| record.sealing_key_id == id) else { return Ok(None) };
        if record.provider != self.name {
            // Not asked for: whoever can write to the store must not be able to choose what unwraps.
            let problem =
                format!("`{}` wrapped the sealing key, and this is `{}`", record.provider, self.name);
            return Err(SealingError::Setting { setting: "vault_key", problem });
        }
        self.unwrap(record, patience).await.map(Some)
    }

    async fn renew(&self) -> Result<Arc<SealingKey>, SealingError> {
        let newest = self.newest().await?.map(|record| record.sealing_key_id);
        self.make(newest, Patience::Start).await
    }
}

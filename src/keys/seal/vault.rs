//! HashiCorp Vault or OpenBao as a provider: sealing keys are wrapped by its Transit engine, and kept in the store.
//!
//! tokend generates a sealing key, Vault wraps it once, and unwraps it once at each startup. Vault sees no private key, and may be
//! unavailable while tokend runs.

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

/// The settings that messages refer to.
const SETTINGS: &str = "`vault_key`";

/// Wraps and unwraps sealing keys.
#[derive(Debug)]
pub(super) struct Vault {
    http: VaultHttp,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    /// The name of the Transit key in the store. Only this Transit key unwraps its wrapped keys.
    name: String,
    /// The unwrapped keys, which are not requested again.
    unwrapped: Mutex<HashMap<SealingKeyId, Arc<SealingKey>>>,
}

impl Vault {
    /// Creates the provider, without a request to Vault.
    ///
    /// # Errors
    /// When the certificate authorities cannot be read.
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

    /// Generates and wraps the successor of `after`, unless another replica was faster.
    async fn generate(
        &self,
        after: Option<SealingKeyId>,
        patience: Patience,
    ) -> Result<Arc<SealingKey>, SealingError> {
        let key = SealingKey::generate()?;
        let wrapped = self.http.encrypt(key.bytes(), patience).await?;
        let candidate = SealingKeyRecord {
            sealing_key_id: key.id(),
            provider: self.name.clone(),
            wrapped: wrapped.into_bytes(),
            create_time: self.clock.now(),
        };
        // Unwraps the key before its first use, so that a token without permission to decrypt is found now, not at the next startup.
        self.unwrap(&candidate, patience).await?;
        let winner = self.store.ensure_sealing_key(&candidate, after).await?;
        if winner.sealing_key_id == key.id() {
            tracing::info!(sealing_key_id = %key.id(), provider = %self.name, "a sealing key was generated and wrapped");
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
        let bytes = self.http.decrypt(wrapped, patience).await?;
        let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map(Zeroizing::new).map_err(|_| damaged())?;
        let key = SealingKey::from_bytes(bytes).map_err(|_| damaged())?;
        // The id is derived from the key, so that a replaced key is found.
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
            None => self.generate(None, patience).await,
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
            // With write access to the store, an attacker must not be able to choose the Transit key.
            let problem =
                format!("`{}` wrapped the sealing key, and this is `{}`", record.provider, self.name);
            return Err(SealingError::Setting { setting: "vault_key", problem });
        }
        self.unwrap(record, patience).await.map(Some)
    }

    async fn renew(&self) -> Result<Arc<SealingKey>, SealingError> {
        let newest = self.newest().await?.map(|record| record.sealing_key_id);
        self.generate(newest, Patience::Start).await
    }
}

//! The registered clients in memory: a snapshot that is swapped whole.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use crate::{
    model::{Client, ClientRecord, SecretDigest, UnixTime},
    store::{Store, StoreError},
};

/// Finds the client that a secret belongs to, without asking the store.
#[derive(Debug)]
pub struct Directory {
    store: Arc<dyn Store>,
    by_secret: ArcSwap<HashMap<SecretDigest, Entry>>,
    /// Held from reading to swapping, so that what was read first is never put over what was read later.
    refreshing: Mutex<()>,
}

#[derive(Debug, Clone)]
struct Entry {
    client: Arc<Client>,
    expire_time: Option<UnixTime>,
}

impl Directory {
    /// Loads the clients from the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let by_secret = ArcSwap::from_pointee(index(store.clients().await?));
        Ok(Self { store, by_secret, refreshing: Mutex::new(()) })
    }

    /// Reads the clients from the store again.
    ///
    /// # Errors
    /// When the store fails; the clients in memory stay as they were.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.refreshing.lock().await;
        self.by_secret.store(Arc::new(index(self.store.clients().await?)));
        Ok(())
    }

    /// The client whose live secret has this digest, unless it is disabled. An unknown client, a wrong secret, one that
    /// ended and a disabled client all cost the same: one look-up by a SHA-256, which tells an attacker nothing.
    pub(super) fn find(&self, digest: &SecretDigest, now: UnixTime) -> Option<Arc<Client>> {
        let by_secret = self.by_secret.load();
        let entry = by_secret.get(digest)?;
        let live = entry.expire_time.is_none_or(|expire_time| now < expire_time);
        (live && !entry.client.settings.disabled).then(|| Arc::clone(&entry.client))
    }
}

fn index(records: Vec<ClientRecord>) -> HashMap<SecretDigest, Entry> {
    let mut by_secret = HashMap::new();
    for record in records {
        let client = Arc::new(record.client);
        for secret in record.secrets {
            let entry = Entry { client: Arc::clone(&client), expire_time: secret.expire_time };
            by_secret.insert(secret.digest, entry);
        }
    }
    by_secret
}

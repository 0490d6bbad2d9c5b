//! The registered clients in memory: an immutable snapshot behind an atomic pointer.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex as BlockingMutex, MutexGuard, PoisonError},
};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Mutex;

use super::{
    client_rows::{CheckedClients, ClientRows},
    jwks_folder::JwksFolder,
    snapshot::Snapshot,
};
use crate::{
    keys::Sealer,
    model::{AssertionKeys, ClientId},
    store::{Store, StoreError},
};

/// Finds the client of a credential without a read of the store.
#[derive(Debug)]
pub struct Directory {
    store: Arc<Store>,
    rows: ClientRows,
    snapshot: ArcSwap<Snapshot>,
    /// Locked from the read to the swap, so that an older read never replaces a newer one.
    sources: Mutex<Sources>,
}

/// The sources of a snapshot.
#[derive(Debug)]
struct Sources {
    clients: CheckedClients,
    files: Arc<BlockingMutex<JwksFolder>>,
}

impl Directory {
    /// Loads the clients from the store, and their keys from the files in `jwks_dir`. An untrusted client or an unusable file is logged
    /// and left out.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(
        store: Arc<Store>,
        sealer: Arc<Sealer>,
        jwks_dir: Option<PathBuf>,
    ) -> Result<Self, StoreError> {
        let files = Arc::new(BlockingMutex::new(JwksFolder::new(jwks_dir)));
        let sources = Mutex::new(Sources { clients: CheckedClients::default(), files });
        let directory = Self { store, rows: ClientRows(sealer), snapshot: ArcSwap::default(), sources };
        directory.refresh().await?;
        Ok(directory)
    }

    /// Reloads the clients from the store.
    ///
    /// # Errors
    /// When the store fails; the clients in memory stay.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let mut sources = self.sources.lock().await;
        let records = self.store.clients().await?;
        sources.clients = self.rows.check_all(records, &sources.clients).await;
        sources.read_files().await;
        self.snapshot.store(Arc::new(sources.snapshot()));
        Ok(())
    }

    /// Reloads the clients if a sealing key was missing.
    ///
    /// # Errors
    /// When the store fails; the clients in memory stay.
    pub async fn retry(&self) -> Result<(), StoreError> {
        if self.sources.lock().await.clients.incomplete { self.refresh().await } else { Ok(()) }
    }

    /// The numbers of untrusted clients, and of clients that are accepted without a valid MAC.
    pub fn row_counts(&self) -> (usize, usize) {
        self.now().row_counts
    }

    pub(super) const fn rows(&self) -> &ClientRows {
        &self.rows
    }

    /// Reloads changed key files of clients.
    pub async fn follow_files(&self) {
        let sources = self.sources.lock().await;
        if sources.read_files().await {
            self.snapshot.store(Arc::new(sources.snapshot()));
        }
    }

    /// Whether a client with this id is registered.
    pub fn has(&self, client_id: &ClientId) -> bool {
        self.now().by_id(client_id.as_str()).is_some()
    }

    /// The current snapshot.
    pub(super) fn now(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }
}

impl Sources {
    /// Reads the named files on a blocking thread.
    async fn read_files(&self) -> bool {
        let named = self.clients.trusted.iter().filter_map(|record| {
            match &record.client.settings.authentication.assertion_keys {
                Some(AssertionKeys::JwksFile(name)) => Some(name.clone()),
                Some(AssertionKeys::JwksJson(_)) | None => None,
            }
        });
        let named: BTreeSet<String> = named.collect();
        if named.is_empty() && locked(&self.files).is_empty() {
            return false;
        }
        let files = Arc::clone(&self.files);
        // A panic has read nothing.
        tokio::task::spawn_blocking(move || locked(&files).read(&named)).await.unwrap_or(false)
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::of(&self.clients.trusted, &locked(&self.files));
        snapshot.row_counts = (self.clients.untrusted.len(), self.clients.unsigned);
        snapshot
    }
}

fn locked(files: &BlockingMutex<JwksFolder>) -> MutexGuard<'_, JwksFolder> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

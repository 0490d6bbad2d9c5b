//! The registered clients in memory: a snapshot that is swapped whole.

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

/// Finds the client that a credential belongs to, without asking the store.
#[derive(Debug)]
pub struct Directory {
    store: Arc<dyn Store>,
    rows: ClientRows,
    snapshot: ArcSwap<Snapshot>,
    /// Held from reading to swapping, so that what was read first is never put over what was read later.
    sources: Mutex<Sources>,
}

/// What a snapshot is made from.
#[derive(Debug)]
struct Sources {
    clients: CheckedClients,
    files: Arc<BlockingMutex<JwksFolder>>,
}

impl Directory {
    /// Loads the clients from the store, and their keys from the files in `jwks_dir` that they name.
    ///
    /// # Errors
    /// When the store fails. A client that is not trusted is logged and left out. A file that cannot be used is logged, and its client waits for a better one.
    pub async fn open(
        store: Arc<dyn Store>,
        sealer: Arc<Sealer>,
        jwks_dir: Option<PathBuf>,
    ) -> Result<Self, StoreError> {
        let files = Arc::new(BlockingMutex::new(JwksFolder::new(jwks_dir)));
        let sources = Mutex::new(Sources { clients: CheckedClients::default(), files });
        let directory = Self { store, rows: ClientRows(sealer), snapshot: ArcSwap::default(), sources };
        directory.refresh().await?;
        Ok(directory)
    }

    /// Reads the clients from the store again.
    ///
    /// # Errors
    /// When the store fails; the clients in memory stay as they were.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let mut sources = self.sources.lock().await;
        let records = self.store.clients().await?;
        sources.clients = self.rows.check_all(records, &sources.clients).await;
        sources.read_files().await;
        self.snapshot.store(Arc::new(sources.snapshot()));
        Ok(())
    }

    /// Checks the clients again whose sealing keys were missing: they may be there now. With no such client it costs nothing.
    ///
    /// # Errors
    /// When the store fails; the clients in memory stay as they were.
    pub async fn retry(&self) -> Result<(), StoreError> {
        if self.sources.lock().await.clients.incomplete { self.refresh().await } else { Ok(()) }
    }

    /// How many clients are not trusted, and how many are accepted without a valid MAC.
    pub fn row_counts(&self) -> (usize, usize) {
        self.now().row_counts
    }

    /// What signs and checks the rows of clients.
    pub(super) const fn rows(&self) -> &ClientRows {
        &self.rows
    }

    /// Reads those of the clients' key files that have changed.
    pub async fn follow_files(&self) {
        let sources = self.sources.lock().await;
        if sources.read_files().await {
            self.snapshot.store(Arc::new(sources.snapshot()));
        }
    }

    /// Whether there is a client of that id.
    pub fn has(&self, client_id: &ClientId) -> bool {
        self.now().by_id(client_id.as_str()).is_some()
    }

    /// The clients as they are now.
    pub(super) fn now(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }
}

impl Sources {
    /// Looks at each file that is named, away from the threads that serve calls: a disk may be slow.
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
        // What panicked in there has read nothing.
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

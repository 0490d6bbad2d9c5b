//! A store that counts the calls that reach it, fails when it is told to, and can hold a call back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use tokend::{
    model::{ClientId, ClientRecord, KeyRecord, SecretRecord, UnixTime},
    server::Settings,
    store::{self, ChangeSequence, Location, Store, StoreError},
};
use tokio::sync::Semaphore;

use crate::harness::{TestServer, manual_clock};

#[derive(Debug)]
pub struct CountingStore {
    inner: Arc<dyn Store>,
    calls: AtomicUsize,
    key_reads: AtomicUsize,
    client_reads: AtomicUsize,
    down: AtomicBool,
    /// Each call takes a permit, when it has come this far.
    gate: Semaphore,
    /// How many calls wait at the gate, or have passed it.
    arrived: Semaphore,
    /// Whether the next list of clients is held back after it was read.
    hold_clients: AtomicBool,
    /// Lets a list of clients go that is held back.
    clients_released: Semaphore,
}

impl CountingStore {
    /// Around a fresh store in memory.
    async fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: store::open(&Location::Memory).await.unwrap(),
            calls: AtomicUsize::new(0),
            key_reads: AtomicUsize::new(0),
            client_reads: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            gate: Semaphore::new(Semaphore::MAX_PERMITS / 2),
            arrived: Semaphore::new(0),
            hold_clients: AtomicBool::new(false),
            clients_released: Semaphore::new(0),
        })
    }

    /// A server on a fresh one, when the server's own calls have been made: clients are read at the start and when `root` is
    /// made, and the first round of the periodic refresh ends with reading them once more. The next is due in an hour.
    pub async fn serve(settings: Settings) -> (TestServer, Arc<Self>) {
        let store = Self::new().await;
        let server = TestServer::on(store.clone(), settings, manual_clock()).await;
        while store.client_reads.load(SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        (server, store)
    }

    /// All calls until now.
    pub fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    /// Calls that read the keys.
    pub fn key_reads(&self) -> usize {
        self.key_reads.load(SeqCst)
    }

    /// From now on it cannot be reached, or can again.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, SeqCst);
    }

    /// From now on every call waits.
    pub fn hold(&self) {
        self.gate.forget_permits(usize::MAX);
        self.arrived.forget_permits(usize::MAX);
    }

    /// Lets all calls pass again.
    pub fn release(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Holds the next list of clients back after it was read, while everything else passes.
    pub fn hold_clients(&self) {
        self.hold_clients.store(true, SeqCst);
    }

    /// Whether a list of clients is being held back now.
    pub fn holds_clients(&self) -> bool {
        !self.hold_clients.load(SeqCst)
    }

    /// Lets it go.
    pub fn release_clients(&self) {
        self.clients_released.add_permits(1);
    }

    /// Resolves when a call has come to the gate.
    pub async fn call_arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    async fn enter(&self) -> Result<(), StoreError> {
        self.calls.fetch_add(1, SeqCst);
        self.arrived.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        if self.down.load(SeqCst) {
            Err(StoreError::Unavailable("told to be down".to_owned()))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Store for CountingStore {
    async fn change_sequence(&self) -> Result<ChangeSequence, StoreError> {
        self.enter().await?;
        self.inner.change_sequence().await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.key_reads.fetch_add(1, SeqCst);
        self.enter().await?;
        self.inner.keys().await
    }

    async fn ensure_active_key(&self, candidate: &KeyRecord) -> Result<KeyRecord, StoreError> {
        self.enter().await?;
        self.inner.ensure_active_key(candidate).await
    }

    async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError> {
        self.enter().await?;
        let read = self.inner.clients().await;
        self.client_reads.fetch_add(1, SeqCst);
        if self.hold_clients.swap(false, SeqCst) {
            self.clients_released.acquire().await.unwrap().forget();
        }
        read
    }

    async fn client(&self, client_id: &ClientId) -> Result<ClientRecord, StoreError> {
        self.enter().await?;
        self.inner.client(client_id).await
    }

    async fn clients_page(
        &self,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        self.enter().await?;
        self.inner.clients_page(after, limit).await
    }

    async fn create_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        self.enter().await?;
        self.inner.create_client(record).await
    }

    async fn put_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        self.enter().await?;
        self.inner.put_client(record).await
    }

    async fn delete_client(&self, client_id: &ClientId) -> Result<(), StoreError> {
        self.enter().await?;
        self.inner.delete_client(client_id).await
    }

    async fn add_client_secret(
        &self,
        client_id: &ClientId,
        secret: &SecretRecord,
        others_expire: UnixTime,
    ) -> Result<(), StoreError> {
        self.enter().await?;
        self.inner.add_client_secret(client_id, secret, others_expire).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

//! A hook for a store that counts the actions, makes them fail, and holds them back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use tokend::{
    server::Settings,
    store::{self, Action, Location, Store, StoreError, StoreHook},
};
use tokio::sync::{Semaphore, watch};

use crate::harness::{TestServer, manual_clock};

#[derive(Debug)]
pub struct CountingStore {
    /// Whether no change is announced, and closing the store does nothing.
    is_quiet: bool,
    calls: AtomicUsize,
    /// Actions that read the keys, and those that use an assertion.
    pub key_reads: AtomicUsize,
    pub assertion_uses: AtomicUsize,
    sequence_reads: AtomicUsize,
    revocation_reads: AtomicUsize,
    down: AtomicBool,
    /// Whether keys alone, or revocations alone, cannot be read.
    pub keys_down: AtomicBool,
    pub revocations_down: AtomicBool,
    /// Each action takes a permit when it has arrived.
    pub gate: Semaphore,
    /// How many actions wait at the gate, or have passed it.
    arrived: Semaphore,
    /// Whether the next list of clients is held back after it was read.
    hold_clients: AtomicBool,
    /// Releases a list of clients that is held back.
    clients_released: Semaphore,
}

impl CountingStore {
    fn new(is_quiet: bool) -> Arc<Self> {
        Arc::new(Self {
            is_quiet,
            calls: AtomicUsize::new(0),
            key_reads: AtomicUsize::new(0),
            sequence_reads: AtomicUsize::new(0),
            revocation_reads: AtomicUsize::new(0),
            assertion_uses: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            keys_down: AtomicBool::new(false),
            revocations_down: AtomicBool::new(false),
            gate: Semaphore::new(Semaphore::MAX_PERMITS / 2),
            arrived: Semaphore::new(0),
            hold_clients: AtomicBool::new(false),
            clients_released: Semaphore::new(0),
        })
    }

    /// `store`, without announcements of changes; it outlives the servers that close it.
    pub fn quiet(store: &Store) -> Arc<Store> {
        store.with_hook(Self::new(true))
    }

    /// Such a store, and its hook.
    pub fn quiet_with_hook(store: &Store) -> (Arc<Store>, Arc<Self>) {
        let hook = Self::new(true);
        (store.with_hook(hook.clone()), hook)
    }

    /// A server on a fresh store in memory, when the server has made its own calls: the first of its rounds comes before it is ready,
    /// and the second, which reads the sequence and the revocations, finds nothing to do. The next is due in an hour.
    pub async fn serve(settings: Settings) -> (TestServer, Arc<Self>) {
        let hook = Self::new(false);
        let store = store::open(&Location::Memory).await.unwrap().with_hook(hook.clone());
        let server = TestServer::on(store, settings, manual_clock()).await;
        while hook.sequence_reads.load(SeqCst) < 2 || hook.revocation_reads.load(SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        (server, hook)
    }

    pub fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    /// From now on the store is unavailable, or available again.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, SeqCst);
    }

    /// From now on every action waits.
    pub fn hold(&self) {
        self.gate.forget_permits(usize::MAX);
        self.arrived.forget_permits(usize::MAX);
    }

    /// Lets all actions pass again.
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

    /// Releases it.
    pub fn release_clients(&self) {
        self.clients_released.add_permits(1);
    }

    /// Resolves when an action has arrived at the gate.
    pub async fn call_arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }
}

#[async_trait]
impl StoreHook for CountingStore {
    async fn before(&self, action: Action) -> Result<(), StoreError> {
        let is_down = |down: &AtomicBool| down.load(SeqCst) || self.down.load(SeqCst);
        let down = match action {
            // A server reads and marks the clock at times of its own.
            Action::Clock | Action::MarkClock => return Ok(()),
            Action::Keys => {
                self.key_reads.fetch_add(1, SeqCst);
                &self.keys_down
            }
            Action::UseAssertion => {
                self.assertion_uses.fetch_add(1, SeqCst);
                &self.down
            }
            Action::Revocations => &self.revocations_down,
            _ => &self.down,
        };
        self.calls.fetch_add(1, SeqCst);
        self.arrived.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        if is_down(down) { Err(StoreError::Unavailable("down for a test".into())) } else { Ok(()) }
    }

    async fn after(&self, action: Action) {
        match action {
            Action::ChangeSequence => {
                self.sequence_reads.fetch_add(1, SeqCst);
            }
            Action::Revocations => {
                self.revocation_reads.fetch_add(1, SeqCst);
            }
            Action::Clients if self.hold_clients.swap(false, SeqCst) => {
                self.clients_released.acquire().await.unwrap().forget();
            }
            _ => {}
        }
    }

    fn changes(&self, changes: watch::Receiver<u64>) -> watch::Receiver<u64> {
        if self.is_quiet { watch::Sender::new(0).subscribe() } else { changes }
    }

    fn closes(&self) -> bool {
        !self.is_quiet
    }
}

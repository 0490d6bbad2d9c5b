//! A store that counts the calls that reach it, fails when it is told to, and can hold a call back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use tokend::{
    model::{
        AssertionDigest, ChangeSequence, Client, ClientId, ClientRecord, ClientVersion, KeyChange, KeySet,
        OldSessions, PasswordHash, PasswordSet, ReplicaReport, Revocation, RevocationPage, RevocationRecord,
        SealingKeyId, SealingKeyRecord, Session, SessionFilter, SessionId, SessionRecord, SessionRotation,
        StoreClock, UnixTime, User, UserId, UserRecord, Username,
    },
    server::Settings,
    store::{self, Location, Store, StoreError},
};
use tokio::sync::{Semaphore, watch};

use crate::harness::{TestServer, manual_clock};

#[derive(Debug)]
pub struct CountingStore {
    inner: Arc<dyn Store>,
    /// What tells of changes; of a store that tells nobody, the receiving end alone.
    changes: watch::Receiver<u64>,
    calls: AtomicUsize,
    /// Calls that read the keys, and those that use an assertion.
    pub key_reads: AtomicUsize,
    pub assertion_uses: AtomicUsize,
    sequence_reads: AtomicUsize,
    revocation_reads: AtomicUsize,
    down: AtomicBool,
    /// Whether keys alone, or revocations alone, cannot be read.
    pub keys_down: AtomicBool,
    pub revocations_down: AtomicBool,
    /// Each call takes a permit, when it has come this far.
    pub gate: Semaphore,
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
        let inner = store::open(&Location::Memory).await.unwrap();
        let changes = inner.changes();
        Self::around(inner, changes)
    }

    /// A store that tells nobody of changes, and outlives the servers that close it.
    pub fn quiet(inner: Arc<dyn Store>) -> Arc<Self> {
        Self::around(inner, watch::Sender::new(0).subscribe())
    }

    fn around(inner: Arc<dyn Store>, changes: watch::Receiver<u64>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            changes,
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

    /// A server on a fresh one, when the server's own calls have been made: of its rounds the first comes before it is ready, and
    /// the second, which reads the sequence and the revocations, finds nothing to do. The next is due in an hour.
    pub async fn serve(settings: Settings) -> (TestServer, Arc<Self>) {
        let store = Self::new().await;
        let server = TestServer::on(store.clone(), settings, manual_clock()).await;
        while store.sequence_reads.load(SeqCst) < 2 || store.revocation_reads.load(SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        (server, store)
    }

    pub fn calls(&self) -> usize {
        self.calls.load(SeqCst)
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
        self.enter_unless(&self.down).await
    }

    async fn enter_unless(&self, down: &AtomicBool) -> Result<(), StoreError> {
        self.calls.fetch_add(1, SeqCst);
        self.arrived.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        if self.down.load(SeqCst) || down.load(SeqCst) {
            Err(StoreError::Unavailable("told to be down".into()))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Store for CountingStore {
    async fn change_sequence(&self) -> Result<ChangeSequence, StoreError> {
        self.enter().await?;
        let read = self.inner.change_sequence().await;
        self.sequence_reads.fetch_add(1, SeqCst);
        read
    }

    fn changes(&self) -> watch::Receiver<u64> {
        let mut changes = self.changes.clone();
        changes.mark_unchanged();
        changes
    }

    async fn keys(&self) -> Result<KeySet, StoreError> {
        self.key_reads.fetch_add(1, SeqCst);
        self.enter_unless(&self.keys_down).await?;
        self.inner.keys().await
    }

    async fn change_keys(&self, change: &KeyChange) -> Result<Option<ChangeSequence>, StoreError> {
        self.enter().await?;
        self.inner.change_keys(change).await
    }

    async fn sealing_keys(&self) -> Result<Vec<SealingKeyRecord>, StoreError> {
        self.enter().await?;
        self.inner.sealing_keys().await
    }

    async fn ensure_sealing_key(
        &self,
        candidate: &SealingKeyRecord,
        after: Option<SealingKeyId>,
    ) -> Result<SealingKeyRecord, StoreError> {
        self.enter().await?;
        self.inner.ensure_sealing_key(candidate, after).await
    }

    async fn report_replica(&self, report: &ReplicaReport) -> Result<(), StoreError> {
        self.enter().await?;
        self.inner.report_replica(report).await
    }

    async fn replicas(&self) -> Result<Vec<ReplicaReport>, StoreError> {
        self.enter().await?;
        self.inner.replicas().await
    }

    async fn forget_replica(&self, replica_id: &str) -> Result<(), StoreError> {
        self.enter().await?;
        self.inner.forget_replica(replica_id).await
    }

    async fn clock(&self) -> Result<StoreClock, StoreError> {
        self.inner.clock().await
    }

    async fn mark_clock(&self, now: UnixTime, accepted: bool) -> Result<(), StoreError> {
        self.inner.mark_clock(now, accepted).await
    }

    async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError> {
        self.enter().await?;
        let read = self.inner.clients().await;
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

    async fn update_client(&self, client: &Client, base: ClientVersion) -> Result<bool, StoreError> {
        self.enter().await?;
        self.inner.update_client(client, base).await
    }

    async fn delete_client_version(
        &self,
        client_id: &ClientId,
        base: ClientVersion,
    ) -> Result<bool, StoreError> {
        self.enter().await?;
        self.inner.delete_client_version(client_id, base).await
    }

    async fn delete_client(&self, client_id: &ClientId) -> Result<(), StoreError> {
        self.enter().await?;
        self.inner.delete_client(client_id).await
    }

    async fn update_client_secrets(
        &self,
        record: &ClientRecord,
        base: ClientVersion,
    ) -> Result<bool, StoreError> {
        self.enter().await?;
        self.inner.update_client_secrets(record, base).await
    }

    async fn use_assertion(
        &self,
        digest: &AssertionDigest,
        expire_time: UnixTime,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        self.assertion_uses.fetch_add(1, SeqCst);
        self.enter().await?;
        self.inner.use_assertion(digest, expire_time, now).await
    }

    async fn forget_assertions(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        self.enter().await?;
        self.inner.forget_assertions(now, limit).await
    }

    async fn create_user(&self, record: &UserRecord) -> Result<(), StoreError> {
        self.enter().await?;
        self.inner.create_user(record).await
    }

    async fn user(&self, user_id: &UserId) -> Result<UserRecord, StoreError> {
        self.enter().await?;
        self.inner.user(user_id).await
    }

    async fn user_by_name(&self, username: &Username) -> Result<UserRecord, StoreError> {
        self.enter().await?;
        self.inner.user_by_name(username).await
    }

    async fn users_page(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.enter().await?;
        self.inner.users_page(after, limit).await
    }

    async fn update_user(&self, user: &User) -> Result<bool, StoreError> {
        self.enter().await?;
        self.inner.update_user(user).await
    }

    async fn set_user_password(
        &self,
        user_id: &UserId,
        password: &PasswordHash,
        at: UnixTime,
        sessions: OldSessions,
    ) -> Result<PasswordSet, StoreError> {
        self.enter().await?;
        self.inner.set_user_password(user_id, password, at, sessions).await
    }

    async fn rehash_user_password(
        &self,
        user_id: &UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.enter().await?;
        self.inner.rehash_user_password(user_id, from, to).await
    }

    async fn delete_user(&self, user_id: &UserId, revision: Option<i64>) -> Result<bool, StoreError> {
        self.enter().await?;
        self.inner.delete_user(user_id, revision).await
    }

    async fn create_session(&self, record: &SessionRecord) -> Result<(), StoreError> {
        self.enter().await?;
        self.inner.create_session(record).await
    }

    async fn create_user_session(
        &self,
        record: &SessionRecord,
        proved: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.enter().await?;
        self.inner.create_user_session(record, proved).await
    }

    async fn session(&self, session_id: &SessionId, now: UnixTime) -> Result<SessionRecord, StoreError> {
        self.enter().await?;
        self.inner.session(session_id, now).await
    }

    async fn rotate_session(&self, rotation: &SessionRotation) -> Result<bool, StoreError> {
        self.enter().await?;
        self.inner.rotate_session(rotation).await
    }

    async fn sessions_page(
        &self,
        filter: &SessionFilter,
        now: UnixTime,
        after: Option<&SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        self.enter().await?;
        self.inner.sessions_page(filter, now, after, limit).await
    }

    async fn forget_sessions(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        self.enter().await?;
        self.inner.forget_sessions(now, limit).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<RevocationRecord, StoreError> {
        self.enter().await?;
        self.inner.revoke(revocation).await
    }

    async fn revocations(&self, after: ChangeSequence, limit: u32) -> Result<RevocationPage, StoreError> {
        self.enter_unless(&self.revocations_down).await?;
        let read = self.inner.revocations(after, limit).await;
        self.revocation_reads.fetch_add(1, SeqCst);
        read
    }

    async fn forget_revocations(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        self.enter().await?;
        self.inner.forget_revocations(now, limit).await
    }

    async fn close(&self) {
        if self.changes.has_changed().is_ok() {
            self.inner.close().await;
        }
    }
}

//! The store with a watch beside it: how long each action takes, and how often it fails.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use async_trait::async_trait;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
    registry::Unit,
};
use tokio::sync::watch;

use super::{Store, StoreError};
use crate::{
    metrics::Durations,
    model::{
        AssertionDigest, ChangeSequence, Client, ClientId, ClientRecord, ClientVersion, KeyChange, KeySet,
        OldSessions, PasswordHash, PasswordSet, ReplicaReport, Revocation, RevocationPage, RevocationRecord,
        SealingKeyId, SealingKeyRecord, Session, SessionFilter, SessionId, SessionRecord, SessionRotation,
        StoreClock, UnixTime, User, UserId, UserRecord, Username,
    },
    spans,
};

/// What is counted of one action.
#[derive(Debug, Default)]
struct Action {
    durations: Durations,
    errors: AtomicU64,
}

impl Action {
    /// Waits for an action and counts it. One whose caller goes away is not counted.
    async fn observe<T>(
        &self,
        action: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let _step = spans::step("store");
        let start = Instant::now();
        let result = action.await;
        self.durations.observe(start.elapsed());
        match &result {
            Err(StoreError::Unavailable(_) | StoreError::Corrupt { .. }) => {
                self.errors.fetch_add(1, Relaxed);
            }
            // The store did its work: "no" is an answer.
            Ok(_) | Err(StoreError::NotFound | StoreError::AlreadyExists) => {}
        }
        result
    }
}

/// The metrics of the store: `tokend_store_action_duration_seconds` and `tokend_store_errors_total`, by action.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    change_sequence: Action,
    keys: Action,
    change_keys: Action,
    sealing_keys: Action,
    ensure_sealing_key: Action,
    report_replica: Action,
    replicas: Action,
    forget_replica: Action,
    clock: Action,
    mark_clock: Action,
    clients: Action,
    client: Action,
    clients_page: Action,
    create_client: Action,
    put_client: Action,
    update_client: Action,
    delete_client: Action,
    delete_client_version: Action,
    add_client_secret: Action,
    use_assertion: Action,
    forget_assertions: Action,
    create_user: Action,
    user: Action,
    user_by_name: Action,
    users_page: Action,
    update_user: Action,
    set_user_password: Action,
    rehash_user_password: Action,
    delete_user: Action,
    create_session: Action,
    create_user_session: Action,
    session: Action,
    rotate_session: Action,
    sessions_page: Action,
    forget_sessions: Action,
    revoke: Action,
    revocations: Action,
    forget_revocations: Action,
}

impl StoreMetrics {
    const fn actions(&self) -> [(&'static str, &Action); 38] {
        [
            ("change_sequence", &self.change_sequence),
            ("keys", &self.keys),
            ("change_keys", &self.change_keys),
            ("sealing_keys", &self.sealing_keys),
            ("ensure_sealing_key", &self.ensure_sealing_key),
            ("report_replica", &self.report_replica),
            ("replicas", &self.replicas),
            ("forget_replica", &self.forget_replica),
            ("clock", &self.clock),
            ("mark_clock", &self.mark_clock),
            ("clients", &self.clients),
            ("client", &self.client),
            ("clients_page", &self.clients_page),
            ("create_client", &self.create_client),
            ("put_client", &self.put_client),
            ("update_client", &self.update_client),
            ("delete_client", &self.delete_client),
            ("delete_client_version", &self.delete_client_version),
            ("add_client_secret", &self.add_client_secret),
            ("use_assertion", &self.use_assertion),
            ("forget_assertions", &self.forget_assertions),
            ("create_user", &self.create_user),
            ("user", &self.user),
            ("user_by_name", &self.user_by_name),
            ("users_page", &self.users_page),
            ("update_user", &self.update_user),
            ("set_user_password", &self.set_user_password),
            ("rehash_user_password", &self.rehash_user_password),
            ("delete_user", &self.delete_user),
            ("create_session", &self.create_session),
            ("create_user_session", &self.create_user_session),
            ("session", &self.session),
            ("rotate_session", &self.rotate_session),
            ("sessions_page", &self.sessions_page),
            ("forget_sessions", &self.forget_sessions),
            ("revoke", &self.revoke),
            ("revocations", &self.revocations),
            ("forget_revocations", &self.forget_revocations),
        ]
    }
}

impl Collector for StoreMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "How long the store's actions took, by action";
        let name = "tokend_store_action_duration";
        let mut family =
            encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (name, action) in self.actions() {
            if !action.durations.is_empty() {
                action.durations.encode(&mut family.encode_family(&[("action", name)])?)?;
            }
        }
        let help = "Store actions that failed: it was unavailable, or a row made no sense";
        let mut family = encoder.encode_descriptor("tokend_store_errors", help, None, MetricType::Counter)?;
        for (name, action) in self.actions() {
            // From the start, with 0: a rate needs a value to rise from.
            let errors = ConstCounter::new(action.errors.load(Relaxed));
            errors.encode(family.encode_family(&[("action", name)])?)?;
        }
        Ok(())
    }
}

/// A store whose actions are counted in [`StoreMetrics`].
#[derive(Debug)]
pub struct TimedStore {
    inner: Arc<dyn Store>,
    metrics: Arc<StoreMetrics>,
}

impl TimedStore {
    /// `inner`, counted in `metrics`.
    pub const fn new(inner: Arc<dyn Store>, metrics: Arc<StoreMetrics>) -> Self {
        Self { inner, metrics }
    }
}

#[async_trait]
impl Store for TimedStore {
    async fn change_sequence(&self) -> Result<ChangeSequence, StoreError> {
        self.metrics.change_sequence.observe(self.inner.change_sequence()).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes()
    }

    async fn keys(&self) -> Result<KeySet, StoreError> {
        self.metrics.keys.observe(self.inner.keys()).await
    }

    async fn change_keys(&self, change: &KeyChange) -> Result<Option<ChangeSequence>, StoreError> {
        self.metrics.change_keys.observe(self.inner.change_keys(change)).await
    }

    async fn sealing_keys(&self) -> Result<Vec<SealingKeyRecord>, StoreError> {
        self.metrics.sealing_keys.observe(self.inner.sealing_keys()).await
    }

    async fn ensure_sealing_key(
        &self,
        candidate: &SealingKeyRecord,
        after: Option<SealingKeyId>,
    ) -> Result<SealingKeyRecord, StoreError> {
        let action = self.inner.ensure_sealing_key(candidate, after);
        self.metrics.ensure_sealing_key.observe(action).await
    }

    async fn report_replica(&self, report: &ReplicaReport) -> Result<(), StoreError> {
        self.metrics.report_replica.observe(self.inner.report_replica(report)).await
    }

    async fn replicas(&self) -> Result<Vec<ReplicaReport>, StoreError> {
        self.metrics.replicas.observe(self.inner.replicas()).await
    }

    async fn forget_replica(&self, replica_id: &str) -> Result<(), StoreError> {
        self.metrics.forget_replica.observe(self.inner.forget_replica(replica_id)).await
    }

    async fn clock(&self) -> Result<StoreClock, StoreError> {
        self.metrics.clock.observe(self.inner.clock()).await
    }

    async fn mark_clock(&self, now: UnixTime, accepted: bool) -> Result<(), StoreError> {
        self.metrics.mark_clock.observe(self.inner.mark_clock(now, accepted)).await
    }

    async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError> {
        self.metrics.clients.observe(self.inner.clients()).await
    }

    async fn client(&self, client_id: &ClientId) -> Result<ClientRecord, StoreError> {
        self.metrics.client.observe(self.inner.client(client_id)).await
    }

    async fn clients_page(
        &self,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        self.metrics.clients_page.observe(self.inner.clients_page(after, limit)).await
    }

    async fn create_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        self.metrics.create_client.observe(self.inner.create_client(record)).await
    }

    async fn put_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        self.metrics.put_client.observe(self.inner.put_client(record)).await
    }

    async fn update_client(&self, client: &Client, base: ClientVersion) -> Result<bool, StoreError> {
        self.metrics.update_client.observe(self.inner.update_client(client, base)).await
    }

    async fn delete_client_version(
        &self,
        client_id: &ClientId,
        base: ClientVersion,
    ) -> Result<bool, StoreError> {
        let action = self.inner.delete_client_version(client_id, base);
        self.metrics.delete_client_version.observe(action).await
    }

    async fn delete_client(&self, client_id: &ClientId) -> Result<(), StoreError> {
        self.metrics.delete_client.observe(self.inner.delete_client(client_id)).await
    }

    async fn update_client_secrets(
        &self,
        record: &ClientRecord,
        base: ClientVersion,
    ) -> Result<bool, StoreError> {
        // Under the name that the action has had in the metrics since the first release.
        self.metrics.add_client_secret.observe(self.inner.update_client_secrets(record, base)).await
    }

    async fn use_assertion(
        &self,
        digest: &AssertionDigest,
        expire_time: UnixTime,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let action = self.inner.use_assertion(digest, expire_time, now);
        self.metrics.use_assertion.observe(action).await
    }

    async fn forget_assertions(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        self.metrics.forget_assertions.observe(self.inner.forget_assertions(now, limit)).await
    }

    async fn create_user(&self, record: &UserRecord) -> Result<(), StoreError> {
        self.metrics.create_user.observe(self.inner.create_user(record)).await
    }

    async fn user(&self, user_id: &UserId) -> Result<UserRecord, StoreError> {
        self.metrics.user.observe(self.inner.user(user_id)).await
    }

    async fn user_by_name(&self, username: &Username) -> Result<UserRecord, StoreError> {
        self.metrics.user_by_name.observe(self.inner.user_by_name(username)).await
    }

    async fn users_page(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.metrics.users_page.observe(self.inner.users_page(after, limit)).await
    }

    async fn update_user(&self, user: &User) -> Result<bool, StoreError> {
        self.metrics.update_user.observe(self.inner.update_user(user)).await
    }

    async fn set_user_password(
        &self,
        user_id: &UserId,
        password: &PasswordHash,
        at: UnixTime,
        sessions: OldSessions,
    ) -> Result<PasswordSet, StoreError> {
        self.metrics
            .set_user_password
            .observe(self.inner.set_user_password(user_id, password, at, sessions))
            .await
    }

    async fn rehash_user_password(
        &self,
        user_id: &UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.metrics.rehash_user_password.observe(self.inner.rehash_user_password(user_id, from, to)).await
    }

    async fn delete_user(&self, user_id: &UserId, revision: Option<i64>) -> Result<bool, StoreError> {
        self.metrics.delete_user.observe(self.inner.delete_user(user_id, revision)).await
    }

    async fn create_session(&self, record: &SessionRecord) -> Result<(), StoreError> {
        self.metrics.create_session.observe(self.inner.create_session(record)).await
    }

    async fn create_user_session(
        &self,
        record: &SessionRecord,
        proved: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.metrics.create_user_session.observe(self.inner.create_user_session(record, proved)).await
    }

    async fn session(&self, session_id: &SessionId, now: UnixTime) -> Result<SessionRecord, StoreError> {
        self.metrics.session.observe(self.inner.session(session_id, now)).await
    }

    async fn rotate_session(&self, rotation: &SessionRotation) -> Result<bool, StoreError> {
        self.metrics.rotate_session.observe(self.inner.rotate_session(rotation)).await
    }

    async fn sessions_page(
        &self,
        filter: &SessionFilter,
        now: UnixTime,
        after: Option<&SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        self.metrics.sessions_page.observe(self.inner.sessions_page(filter, now, after, limit)).await
    }

    async fn forget_sessions(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        self.metrics.forget_sessions.observe(self.inner.forget_sessions(now, limit)).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<RevocationRecord, StoreError> {
        self.metrics.revoke.observe(self.inner.revoke(revocation)).await
    }

    async fn revocations(&self, after: ChangeSequence, limit: u32) -> Result<RevocationPage, StoreError> {
        self.metrics.revocations.observe(self.inner.revocations(after, limit)).await
    }

    async fn forget_revocations(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        self.metrics.forget_revocations.observe(self.inner.forget_revocations(now, limit)).await
    }

    async fn write_problem(&self) -> Result<Option<String>, StoreError> {
        self.inner.write_problem().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

//! Persistence. Everything above speaks to [`Store`]; SQLite and PostgreSQL stand behind it and pass one
//! conformance and one concurrency suite.
//!
//! May import: `model`, `clock`, and `jose` for strict JSON. Invariant: each method is one domain action in one transaction, so that a
//! caller who goes away in the middle leaves nothing half done.

mod ambiguous;
mod clock_guard;
mod error;
mod failure;
mod location;
mod postgres;
mod revocation_rows;
mod rows;
mod schema;
mod session_rows;
mod sqlite;
mod timed;
mod user_rows;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use tokio::sync::watch;

pub use clock_guard::ClockGuard;
pub use error::{OpenError, StoreError, StoreFailure};
pub use location::Location;
pub use timed::{StoreMetrics, TimedStore};

use crate::model::{
    AssertionDigest, ChangeSequence, Client, ClientId, ClientRecord, ClientVersion, KeyChange, KeySet,
    OldSessions, PasswordHash, PasswordSet, ReplicaReport, Revocation, RevocationPage, RevocationRecord,
    SealingKeyId, SealingKeyRecord, Session, SessionFilter, SessionId, SessionRecord, SessionRotation,
    StoreClock, UnixTime, User, UserId, UserRecord, Username,
};

/// The durable state of tokend.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Counts the changes to keys and clients: it grows with each of them, in the same transaction, and with nothing else.
    async fn change_sequence(&self) -> Result<ChangeSequence, StoreError>;

    /// Tells of changes by whomever, as far as the store can: each time something may have changed, the value does. What it
    /// does not tell must be found by comparing the change sequence.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Every key as of the last change to any.
    async fn keys(&self) -> Result<KeySet, StoreError>;

    /// Makes a change to the keys, if none has changed since what it is based on: of any number of changes at once that
    /// are based on the same set, one is made. Answers its number; none when it was not made, and nothing was done.
    async fn change_keys(&self, change: &KeyChange) -> Result<Option<ChangeSequence>, StoreError>;

    /// Every sealing key that is kept here, wrapped; by provider, then in the order in which they were made.
    async fn sealing_keys(&self) -> Result<Vec<SealingKeyRecord>, StoreError>;

    /// Makes `candidate` the newest sealing key of its provider, if `after` is the newest until then (none: if there is
    /// none yet): of any number of candidates at once, one wins. Answers the newest.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the provider has none, and `after` is one.
    async fn ensure_sealing_key(
        &self,
        candidate: &SealingKeyRecord,
        after: Option<SealingKeyId>,
    ) -> Result<SealingKeyRecord, StoreError>;

    /// Keeps what a replica holds, in place of what it held before.
    async fn report_replica(&self, report: &ReplicaReport) -> Result<(), StoreError>;

    /// What each replica holds, by id. A replica that was killed has left its last report.
    async fn replicas(&self) -> Result<Vec<ReplicaReport>, StoreError>;

    /// Deletes what a replica reported, if it did.
    async fn forget_replica(&self, replica_id: &str) -> Result<(), StoreError>;

    /// What the store knows of the time.
    async fn clock(&self) -> Result<StoreClock, StoreError>;

    /// Keeps `now` as the latest time that the store has seen, unless it has seen a later one. With `accepted`, an operator says that
    /// it is right, and it is kept even if it is earlier.
    async fn mark_clock(&self, now: UnixTime, accepted: bool) -> Result<(), StoreError>;

    /// Every client, by id.
    async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError>;

    /// One client.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none of that id.
    async fn client(&self, client_id: &ClientId) -> Result<ClientRecord, StoreError>;

    /// Up to `limit` clients by id, those after `after` only.
    async fn clients_page(
        &self,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<Vec<ClientRecord>, StoreError>;

    /// Registers a client with its secrets.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if there is a client or a user with that id.
    async fn create_client(&self, record: &ClientRecord) -> Result<(), StoreError>;

    /// Makes a client exactly what `record` says, with exactly its secrets, whether it was there or not. If it was,
    /// it keeps its creation time and its revision grows by one.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if it was not there, and a user has that id.
    async fn put_client(&self, record: &ClientRecord) -> Result<(), StoreError>;

    /// Makes the settings and the update time of a client what `client` says, if it is at `base` still: of any number of
    /// changes at once that are based on the same version, one is made. Its revision then grows by one. The MAC is written with
    /// them, over these settings and the secrets of `base`. Answers whether it
    /// was made; if not, for the client is at another version or gone, nothing was done.
    async fn update_client(&self, client: &Client, base: ClientVersion) -> Result<bool, StoreError>;

    /// Deletes a client with its secrets and its sessions.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none of that id.
    async fn delete_client(&self, client_id: &ClientId) -> Result<(), StoreError>;

    /// Deletes a client with its secrets and its sessions, if it is at `base` still. Answers whether it was; if not, nothing was done.
    async fn delete_client_version(
        &self,
        client_id: &ClientId,
        base: ClientVersion,
    ) -> Result<bool, StoreError>;

    /// Makes the settings, the update time and the secrets of a client exactly what `record` says, as [`Self::update_client`] does.
    async fn update_client_secrets(
        &self,
        record: &ClientRecord,
        base: ClientVersion,
    ) -> Result<bool, StoreError>;

    /// Uses an assertion that is good until `expire_time`. Answers whether this was its first use as of `now`: of any number
    /// of uses at once, at whichever replica, one is.
    async fn use_assertion(
        &self,
        digest: &AssertionDigest,
        expire_time: UnixTime,
        now: UnixTime,
    ) -> Result<bool, StoreError>;

    /// Deletes up to `limit` used assertions that have expired at `now`. Answers how many.
    async fn forget_assertions(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError>;

    /// Registers a user.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if there is a user with that id or name, or a client with that id.
    async fn create_user(&self, record: &UserRecord) -> Result<(), StoreError>;

    /// One user, by id.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none.
    async fn user(&self, user_id: &UserId) -> Result<UserRecord, StoreError>;

    /// One user, by name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none.
    async fn user_by_name(&self, username: &Username) -> Result<UserRecord, StoreError>;

    /// Up to `limit` users by id, those after `after` only.
    async fn users_page(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, StoreError>;

    /// Changes what operators decide about a user, and when that was, if the user is still of the revision before
    /// `user.revision`: of any number of changes at once, one is made. Whether it was; if not, there is no such user, or one
    /// of another revision.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if another user has the name.
    async fn update_user(&self, user: &User) -> Result<bool, StoreError>;

    /// Gives a user another password, and ends what sessions the user has, or keeps them. The revision grows by one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none of that id.
    async fn set_user_password(
        &self,
        user_id: &UserId,
        password: &PasswordHash,
        at: UnixTime,
        sessions: OldSessions,
    ) -> Result<PasswordSet, StoreError>;

    /// Keeps another hash of the password that a user has, if `from` is still its hash: a password that was set meanwhile
    /// stays. It is no change of the user. Whether it was kept.
    async fn rehash_user_password(
        &self,
        user_id: &UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<bool, StoreError>;

    /// Deletes a user with all sessions that the user began, if the user is of that revision (none: of whatever revision).
    /// Whether one was deleted.
    async fn delete_user(&self, user_id: &UserId, revision: Option<i64>) -> Result<bool, StoreError>;

    /// Keeps a new session.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if there is one of that id.
    async fn create_session(&self, record: &SessionRecord) -> Result<(), StoreError>;

    /// Keeps a new session of a user who has proved to know the password of this hash, if that is the user's hash still: no
    /// session by an old password comes after a new one was set. Whether it was kept.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if there is one of that id.
    async fn create_user_session(
        &self,
        record: &SessionRecord,
        proved: &PasswordHash,
    ) -> Result<bool, StoreError>;

    /// A session that has not ended at `now`: neither its times nor a revocation of it, its subject, its client or everything have
    /// ended it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none.
    async fn session(&self, session_id: &SessionId, now: UnixTime) -> Result<SessionRecord, StoreError>;

    /// Uses a session's good refresh token and puts another in its place, if it is the good one still and the session has not
    /// ended at the time of its use: of any number of uses at once, one is made. Whether it was; if not, nothing was done.
    async fn rotate_session(&self, rotation: &SessionRotation) -> Result<bool, StoreError>;

    /// Up to `limit` sessions that have not ended at `now`, by id, those after `after` only.
    async fn sessions_page(
        &self,
        filter: &SessionFilter,
        now: UnixTime,
        after: Option<&SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError>;

    /// Deletes up to `limit` sessions that have ended at `now`. Answers how many.
    async fn forget_sessions(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError>;

    /// Makes a revocation durable. One of the same target that is there already holds on: it keeps the time at which it was made,
    /// and reaches as far, in both of its other instants, as the further of the two. Answers what holds now.
    async fn revoke(&self, revocation: &Revocation) -> Result<RevocationRecord, StoreError>;

    /// Up to `limit` revocations that were made, or made to reach further, after the change `after`, in that order. Those that have
    /// expired may be among them.
    async fn revocations(&self, after: ChangeSequence, limit: u32) -> Result<RevocationPage, StoreError>;

    /// Deletes up to `limit` revocations that have expired at `now`. Answers how many. One stays as long as there may be sessions
    /// that it has ended: until [`Self::forget_sessions`] has found none left, and none can come any more.
    async fn forget_revocations(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError>;

    /// Why the store takes no writes now; none if it takes them, or cannot tell. Leaves no trace in the store.
    async fn write_problem(&self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    /// Ends every connection, for a clean stop.
    async fn close(&self);
}

/// Opens the store at `location`: checks it, and brings its schema up to this binary's.
///
/// # Errors
/// See [`OpenError`]; a database that is refused is left as it was.
pub async fn open(location: &Location) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match location {
        Location::Memory => Arc::new(sqlite::SqliteStore::in_memory().await?),
        Location::Sqlite(path) => Arc::new(sqlite::SqliteStore::open(path).await?),
        Location::Postgres(database) => Arc::new(postgres::PostgresStore::open(database).await?),
    })
}

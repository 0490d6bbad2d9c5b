//! The store in PostgreSQL, which any number of replicas share.
//!
//! Invariant: each change first takes the lock on the row of the change sequence, so that changes stand in a line:
//! none waits for another in a circle, and the sequence's numbers are committed in order.

mod assertions;
mod changes;
mod clients;
mod clock;
mod keys;
mod listener;
mod open;
mod replicas;
mod revocations;
mod sealing_keys;
mod secrets;
mod servers;
mod sessions;
mod sweep;
mod users;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::{sync::watch, task::JoinHandle};

use self::{listener::Listener, servers::Servers};
use super::{Store, StoreError};
use crate::model::{
    AssertionDigest, ChangeSequence, Client, ClientId, ClientRecord, ClientVersion, KeyChange, KeySet,
    OldSessions, PasswordHash, PasswordSet, ReplicaReport, Revocation, RevocationPage, RevocationRecord,
    SealingKeyId, SealingKeyRecord, Session, SessionFilter, SessionId, SessionRecord, SessionRotation,
    StoreClock, UnixTime, User, UserId, UserRecord, Username,
};

/// How long an action may take. The server's own limits are shorter; this one is for a server, or a network, that
/// does not answer at all.
const ACTION: Duration = Duration::from_secs(10);

/// A PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresStore {
    pool: PgPool,
    servers: Arc<Servers>,
    /// Looks for another server when there is need.
    watch: JoinHandle<()>,
    /// Started by the first who wants to hear of changes: a command that only writes needs none.
    listener: OnceLock<Listener>,
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl PostgresStore {
    /// Waits for an action, with a limit, and looks at what its failure says of the server.
    async fn bounded<T>(
        &self,
        action: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let followed = async {
            self.servers.follow_file(&self.pool).await;
            action.await
        };
        let late =
            |_| Err(StoreError::Unavailable(format!("no answer within {} s", ACTION.as_secs()).into()));
        let result = tokio::time::timeout(ACTION, followed).await.unwrap_or_else(late);
        self.servers.note(result.as_ref().err());
        result
    }
}

/// Ends a transaction that changed something, or did not.
async fn end(write: Transaction<'_, Postgres>, changed: bool) -> Result<(), StoreError> {
    let ended = if changed { write.commit().await } else { write.rollback().await };
    Ok(ended?)
}

// A transaction that is dropped without a commit, on an error or with the caller's future, is rolled back.
#[async_trait]
impl Store for PostgresStore {
    async fn change_sequence(&self) -> Result<ChangeSequence, StoreError> {
        self.bounded(changes::read(&self.pool)).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.listener.get_or_init(|| Listener::start(&self.servers)).changes()
    }

    async fn keys(&self) -> Result<KeySet, StoreError> {
        self.bounded(keys::all(&self.pool)).await
    }

    async fn change_keys(&self, change: &KeyChange) -> Result<Option<ChangeSequence>, StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            let made = keys::change(&mut write, change).await?;
            match made {
                Some(_) => write.commit().await?,
                None => write.rollback().await?,
            }
            Ok(made)
        })
        .await
    }

    async fn sealing_keys(&self) -> Result<Vec<SealingKeyRecord>, StoreError> {
        self.bounded(sealing_keys::all(&self.pool)).await
    }

    async fn ensure_sealing_key(
        &self,
        candidate: &SealingKeyRecord,
        after: Option<SealingKeyId>,
    ) -> Result<SealingKeyRecord, StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            let inserted = sealing_keys::insert(&mut write, candidate, after).await?;
            let newest = sealing_keys::newest(&mut *write, &candidate.provider).await?;
            end(write, inserted).await?;
            newest.ok_or(StoreError::NotFound)
        })
        .await
    }

    async fn report_replica(&self, report: &ReplicaReport) -> Result<(), StoreError> {
        self.bounded(replicas::report(&self.pool, report)).await
    }

    async fn replicas(&self) -> Result<Vec<ReplicaReport>, StoreError> {
        self.bounded(replicas::all(&self.pool)).await
    }

    async fn forget_replica(&self, replica_id: &str) -> Result<(), StoreError> {
        self.bounded(replicas::forget(&self.pool, replica_id)).await
    }

    async fn clock(&self) -> Result<StoreClock, StoreError> {
        self.bounded(clock::read(&self.pool)).await
    }

    async fn mark_clock(&self, now: UnixTime, accepted: bool) -> Result<(), StoreError> {
        self.bounded(clock::mark(&self.pool, now, accepted)).await
    }

    async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError> {
        self.bounded(clients::page(&self.pool, None, i64::MAX)).await
    }

    async fn client(&self, client_id: &ClientId) -> Result<ClientRecord, StoreError> {
        self.bounded(clients::one(&self.pool, client_id)).await
    }

    async fn clients_page(
        &self,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        self.bounded(clients::page(&self.pool, after, i64::from(limit))).await
    }

    async fn create_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            clients::create(&mut write, record).await?;
            Ok(write.commit().await?)
        })
        .await
    }

    async fn put_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            clients::put(&mut write, record).await?;
            Ok(write.commit().await?)
        })
        .await
    }

    async fn update_client(&self, client: &Client, base: ClientVersion) -> Result<bool, StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            let updated = clients::update(&mut write, client, base).await?;
            end(write, updated).await?;
            Ok(updated)
        })
        .await
    }

    async fn delete_client_version(
        &self,
        client_id: &ClientId,
        base: ClientVersion,
    ) -> Result<bool, StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            let deleted = clients::delete_version(&mut write, client_id, base).await?;
            if deleted {
                sessions::end_of_client(&mut write, client_id).await?;
            }
            end(write, deleted).await?;
            Ok(deleted)
        })
        .await
    }

    async fn delete_client(&self, client_id: &ClientId) -> Result<(), StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            clients::delete(&mut write, client_id).await?;
            sessions::end_of_client(&mut write, client_id).await?;
            Ok(write.commit().await?)
        })
        .await
    }

    async fn update_client_secrets(
        &self,
        record: &ClientRecord,
        base: ClientVersion,
    ) -> Result<bool, StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            let updated = clients::update_with_secrets(&mut write, record, base).await?;
            end(write, updated).await?;
            Ok(updated)
        })
        .await
    }

    async fn use_assertion(
        &self,
        digest: &AssertionDigest,
        expire_time: UnixTime,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        self.bounded(assertions::use_once(&self.pool, digest, expire_time, now)).await
    }

    async fn forget_assertions(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        self.bounded(assertions::forget(&self.pool, now, limit)).await
    }

    async fn create_user(&self, record: &UserRecord) -> Result<(), StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            users::create(&mut write, record).await?;
            Ok(write.commit().await?)
        })
        .await
    }

    async fn user(&self, user_id: &UserId) -> Result<UserRecord, StoreError> {
        self.bounded(users::one(&self.pool, user_id)).await
    }

    async fn user_by_name(&self, username: &Username) -> Result<UserRecord, StoreError> {
        self.bounded(users::by_name(&self.pool, username)).await
    }

    async fn users_page(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.bounded(users::page(&self.pool, after, i64::from(limit))).await
    }

    async fn update_user(&self, user: &User) -> Result<bool, StoreError> {
        self.bounded(users::update(&self.pool, user)).await
    }

    async fn set_user_password(
        &self,
        user_id: &UserId,
        password: &PasswordHash,
        at: UnixTime,
        sessions: OldSessions,
    ) -> Result<PasswordSet, StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            let record = users::set_password(&mut write, user_id, password, at).await?;
            let ended_sessions = match sessions {
                OldSessions::End => sessions::end_of_user(&mut write, user_id).await?,
                OldSessions::Keep => 0,
            };
            write.commit().await?;
            Ok(PasswordSet { record, ended_sessions })
        })
        .await
    }

    async fn rehash_user_password(
        &self,
        user_id: &UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.bounded(users::rehash(&self.pool, user_id, from, to)).await
    }

    async fn delete_user(&self, user_id: &UserId, revision: Option<i64>) -> Result<bool, StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            let deleted = users::delete(&mut write, user_id, revision).await?;
            if deleted {
                sessions::end_of_user(&mut write, user_id).await?;
            }
            write.commit().await?;
            Ok(deleted)
        })
        .await
    }

    async fn create_session(&self, record: &SessionRecord) -> Result<(), StoreError> {
        self.bounded(sessions::create(&self.pool, record)).await
    }

    async fn create_user_session(
        &self,
        record: &SessionRecord,
        proved: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            let is_proved = sessions::is_proved(&mut write, record, proved).await?;
            if is_proved {
                sessions::create(&mut *write, record).await?;
            }
            write.commit().await?;
            Ok(is_proved)
        })
        .await
    }

    async fn session(&self, session_id: &SessionId, now: UnixTime) -> Result<SessionRecord, StoreError> {
        self.bounded(sessions::one(&self.pool, session_id, now)).await
    }

    async fn rotate_session(&self, rotation: &SessionRotation) -> Result<bool, StoreError> {
        self.bounded(sessions::rotate(&self.pool, rotation)).await
    }

    async fn sessions_page(
        &self,
        filter: &SessionFilter,
        now: UnixTime,
        after: Option<&SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        self.bounded(sessions::page(&self.pool, filter, now, after, i64::from(limit))).await
    }

    async fn forget_sessions(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            let limit = u64::from(limit);
            let expired = sessions::forget_expired(&mut write, now, limit).await?;
            let swept = sweep::sweep(&mut write, now, limit.saturating_sub(expired)).await?;
            write.commit().await?;
            Ok(expired + swept)
        })
        .await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<RevocationRecord, StoreError> {
        self.bounded(async {
            let mut write = self.pool.begin().await?;
            let record = revocations::make(&mut write, revocation).await?;
            write.commit().await?;
            Ok(record)
        })
        .await
    }

    async fn revocations(&self, after: ChangeSequence, limit: u32) -> Result<RevocationPage, StoreError> {
        self.bounded(revocations::page(&self.pool, after, limit)).await
    }

    async fn forget_revocations(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        self.bounded(revocations::forget(&self.pool, now, limit)).await
    }

    async fn write_problem(&self) -> Result<Option<String>, StoreError> {
        self.bounded(self.servers.write_problem(&self.pool)).await
    }

    async fn close(&self) {
        self.watch.abort();
        if let Some(listener) = self.listener.get() {
            listener.stop();
        }
        self.pool.close().await;
    }
}

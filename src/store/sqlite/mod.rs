//! The store in SQLite: a file, or this process' memory.
//!
//! Invariant: there is one writing connection, and each write begins with `BEGIN IMMEDIATE`; nothing that was read
//! before can have changed when it is written, not even by another process on the same file.

mod assertions;
mod changes;
mod clients;
mod file;
mod keys;
mod open;
mod replicas;
mod revocations;
mod sealing_keys;
mod secrets;
mod sessions;
mod sweep;
mod users;

use async_trait::async_trait;
use sqlx::{Sqlite, SqlitePool, Transaction};
use tokio::sync::watch;

use super::{Store, StoreError};
use crate::model::{
    AssertionDigest, ChangeSequence, Client, ClientId, ClientRecord, ClientVersion, KeyChange, KeySet,
    OldSessions, PasswordHash, PasswordSet, ReplicaReport, Revocation, RevocationPage, RevocationRecord,
    SealingKeyId, SealingKeyRecord, Session, SessionFilter, SessionId, SessionRecord, SessionRotation,
    UnixTime, User, UserId, UserRecord, Username,
};

/// A SQLite database.
#[derive(Debug)]
pub(super) struct SqliteStore {
    /// One connection.
    writer: SqlitePool,
    /// Reading connections; in memory, the writer.
    readers: SqlitePool,
    in_memory: bool,
    /// Grows with each change that this process makes; what another process changes is found by polling.
    changed: watch::Sender<u64>,
}

impl SqliteStore {
    /// Begins a write. Dropped without a commit, on an error or with the caller's future, it is rolled back.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        match self.writer.begin_with("BEGIN IMMEDIATE").await {
            // SQLite has ended a transaction by itself, as it does when the disk is full. To sqlx the connection is in it for
            // ever, so that another has to take its place; but a database in memory would go with it.
            Err(sqlx::Error::InvalidSavePointStatement) if !self.in_memory => {
                self.writer.acquire().await?.close().await?;
                Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            begun => Ok(begun?),
        }
    }

    /// Commits a change, and tells of it.
    async fn commit(&self, write: Transaction<'static, Sqlite>) -> Result<(), StoreError> {
        write.commit().await?;
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    /// Commits a change that was made; else leaves everything as it was. Answers which.
    async fn commit_if(&self, made: bool, write: Transaction<'static, Sqlite>) -> Result<bool, StoreError> {
        if made {
            self.commit(write).await?;
        } else {
            write.rollback().await?;
        }
        Ok(made)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn change_sequence(&self) -> Result<ChangeSequence, StoreError> {
        changes::read(&self.readers).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    async fn keys(&self) -> Result<KeySet, StoreError> {
        keys::all(&self.readers).await
    }

    async fn change_keys(&self, change: &KeyChange) -> Result<Option<ChangeSequence>, StoreError> {
        let mut write = self.write().await?;
        let made = keys::change(&mut write, change).await?;
        match made {
            Some(_) => self.commit(write).await?,
            None => write.rollback().await?,
        }
        Ok(made)
    }

    async fn sealing_keys(&self) -> Result<Vec<SealingKeyRecord>, StoreError> {
        sealing_keys::all(&self.readers).await
    }

    async fn ensure_sealing_key(
        &self,
        candidate: &SealingKeyRecord,
        after: Option<SealingKeyId>,
    ) -> Result<SealingKeyRecord, StoreError> {
        let mut write = self.write().await?;
        let inserted = sealing_keys::insert(&mut write, candidate, after).await?;
        let newest = sealing_keys::newest(&mut *write, &candidate.provider).await?;
        if inserted {
            self.commit(write).await?;
        } else {
            write.rollback().await?;
        }
        newest.ok_or(StoreError::NotFound)
    }

    async fn report_replica(&self, report: &ReplicaReport) -> Result<(), StoreError> {
        replicas::report(&self.writer, report).await
    }

    async fn replicas(&self) -> Result<Vec<ReplicaReport>, StoreError> {
        replicas::all(&self.readers).await
    }

    async fn forget_replica(&self, replica_id: &str) -> Result<(), StoreError> {
        replicas::forget(&self.writer, replica_id).await
    }

    async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError> {
        clients::page(&self.readers, None, i64::MAX).await
    }

    async fn client(&self, client_id: &ClientId) -> Result<ClientRecord, StoreError> {
        clients::one(&self.readers, client_id).await
    }

    async fn clients_page(
        &self,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        clients::page(&self.readers, after, i64::from(limit)).await
    }

    async fn create_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        clients::create(&mut write, record).await?;
        self.commit(write).await
    }

    async fn put_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        clients::put(&mut write, record).await?;
        self.commit(write).await
    }

    async fn update_client(&self, client: &Client, base: ClientVersion) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let updated = clients::update(&mut write, client, base).await?;
        self.commit_if(updated, write).await
    }

    async fn delete_client_version(
        &self,
        client_id: &ClientId,
        base: ClientVersion,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let deleted = clients::delete_version(&mut write, client_id, base).await?;
        if deleted {
            sessions::end_of_client(&mut write, client_id).await?;
        }
        self.commit_if(deleted, write).await
    }

    async fn delete_client(&self, client_id: &ClientId) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        clients::delete(&mut write, client_id).await?;
        sessions::end_of_client(&mut write, client_id).await?;
        self.commit(write).await
    }

    async fn update_client_secrets(
        &self,
        record: &ClientRecord,
        base: ClientVersion,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let updated = clients::update_with_secrets(&mut write, record, base).await?;
        self.commit_if(updated, write).await
    }

    async fn use_assertion(
        &self,
        digest: &AssertionDigest,
        expire_time: UnixTime,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        assertions::use_once(&self.writer, digest, expire_time, now).await
    }

    async fn forget_assertions(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        assertions::forget(&self.writer, now, limit).await
    }

    async fn create_user(&self, record: &UserRecord) -> Result<(), StoreError> {
        users::create(&self.writer, record).await
    }

    async fn user(&self, user_id: &UserId) -> Result<UserRecord, StoreError> {
        users::one(&self.readers, user_id).await
    }

    async fn user_by_name(&self, username: &Username) -> Result<UserRecord, StoreError> {
        users::by_name(&self.readers, username).await
    }

    async fn users_page(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        users::page(&self.readers, after, i64::from(limit)).await
    }

    async fn update_user(&self, user: &User) -> Result<bool, StoreError> {
        users::update(&self.writer, user).await
    }

    async fn set_user_password(
        &self,
        user_id: &UserId,
        password: &PasswordHash,
        at: UnixTime,
        sessions: OldSessions,
    ) -> Result<PasswordSet, StoreError> {
        let mut write = self.write().await?;
        let record = users::set_password(&mut write, user_id, password, at).await?;
        let ended_sessions = match sessions {
            OldSessions::End => sessions::end_of_user(&mut write, user_id).await?,
            OldSessions::Keep => 0,
        };
        write.commit().await?;
        Ok(PasswordSet { record, ended_sessions })
    }

    async fn rehash_user_password(
        &self,
        user_id: &UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<bool, StoreError> {
        users::rehash(&self.writer, user_id, from, to).await
    }

    async fn delete_user(&self, user_id: &UserId, revision: Option<i64>) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let deleted = users::delete(&mut write, user_id, revision).await?;
        if deleted {
            sessions::end_of_user(&mut write, user_id).await?;
        }
        write.commit().await?;
        Ok(deleted)
    }

    async fn create_session(&self, record: &SessionRecord) -> Result<(), StoreError> {
        sessions::create(&self.writer, record).await
    }

    async fn create_user_session(
        &self,
        record: &SessionRecord,
        proved: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let is_proved = sessions::is_proved(&mut write, record, proved).await?;
        if is_proved {
            sessions::create(&mut *write, record).await?;
        }
        write.commit().await?;
        Ok(is_proved)
    }

    async fn session(&self, session_id: &SessionId, now: UnixTime) -> Result<SessionRecord, StoreError> {
        sessions::one(&self.readers, session_id, now).await
    }

    async fn rotate_session(&self, rotation: &SessionRotation) -> Result<bool, StoreError> {
        sessions::rotate(&self.writer, rotation).await
    }

    async fn sessions_page(
        &self,
        filter: &SessionFilter,
        now: UnixTime,
        after: Option<&SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        sessions::page(&self.readers, filter, now, after, i64::from(limit)).await
    }

    async fn forget_sessions(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        let mut write = self.write().await?;
        let limit = u64::from(limit);
        let expired = sessions::forget_expired(&mut write, now, limit).await?;
        let swept = sweep::sweep(&mut write, now, limit.saturating_sub(expired)).await?;
        write.commit().await?;
        Ok(expired + swept)
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<RevocationRecord, StoreError> {
        let mut write = self.write().await?;
        let record = revocations::make(&mut write, revocation).await?;
        // Told even if it held already: that is seldom, and costs a look.
        self.commit(write).await?;
        Ok(record)
    }

    async fn revocations(&self, after: ChangeSequence, limit: u32) -> Result<RevocationPage, StoreError> {
        revocations::page(&self.readers, after, limit).await
    }

    async fn forget_revocations(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        revocations::forget(&self.writer, now, limit).await
    }

    async fn close(&self) {
        // Readers first: the last connection to close tidies the write-ahead log away, and must be able to write.
        self.readers.close().await;
        self.writer.close().await;
    }
}

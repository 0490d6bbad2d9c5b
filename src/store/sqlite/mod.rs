//! The store in SQLite: a file, or this process' memory.
//!
//! Invariant: there is one writing connection, and each write begins with `BEGIN IMMEDIATE`; nothing that was read
//! before can have changed when it is written, not even by another process on the same file.

mod changes;
mod clients;
mod file;
mod keys;
mod open;
mod secrets;

use async_trait::async_trait;
use sqlx::{Sqlite, SqlitePool, Transaction};

use super::{ChangeSequence, Store, StoreError};
use crate::model::{ClientId, ClientRecord, KeyRecord, SecretRecord, UnixTime};

/// A SQLite database.
#[derive(Debug)]
pub(super) struct SqliteStore {
    /// One connection.
    writer: SqlitePool,
    /// Reading connections; in memory, the writer.
    readers: SqlitePool,
}

impl SqliteStore {
    /// Begins a write. Dropped without a commit, on an error or with the caller's future, it is rolled back.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn change_sequence(&self) -> Result<ChangeSequence, StoreError> {
        changes::read(&self.readers).await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        keys::all(&self.readers).await
    }

    async fn ensure_active_key(&self, candidate: &KeyRecord) -> Result<KeyRecord, StoreError> {
        // The usual case, a start with keys from before, writes nothing.
        if let Some(active) = keys::active(&self.readers, candidate.algorithm).await? {
            return Ok(active);
        }
        let mut write = self.write().await?;
        let inserted = keys::insert_active(&mut write, candidate).await?;
        let active = keys::active(&mut *write, candidate.algorithm).await?.ok_or(StoreError::NotFound)?;
        if inserted {
            write.commit().await?;
        } else {
            write.rollback().await?;
        }
        Ok(active)
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
        Ok(write.commit().await?)
    }

    async fn put_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        clients::put(&mut write, record).await?;
        Ok(write.commit().await?)
    }

    async fn delete_client(&self, client_id: &ClientId) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        clients::delete(&mut write, client_id).await?;
        Ok(write.commit().await?)
    }

    async fn add_client_secret(
        &self,
        client_id: &ClientId,
        secret: &SecretRecord,
        others_expire: UnixTime,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        clients::touch(&mut write, client_id, secret.create_time.seconds()).await?;
        secrets::add(&mut write, client_id, secret, others_expire).await?;
        Ok(write.commit().await?)
    }

    async fn close(&self) {
        // Readers first: the last connection to close tidies the write-ahead log away, and must be able to write.
        self.readers.close().await;
        self.writer.close().await;
    }
}

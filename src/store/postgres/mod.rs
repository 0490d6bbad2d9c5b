//! The store in PostgreSQL, which any number of replicas share.
//!
//! Invariant: each change first takes the lock on the row of the change sequence, so that changes stand in a line:
//! none waits for another in a circle, and the sequence's numbers are committed in order.

mod changes;
mod clients;
mod keys;
mod open;
mod secrets;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;

use super::{ChangeSequence, Store, StoreError};
use crate::model::{ClientId, ClientRecord, KeyRecord, SecretRecord, UnixTime};

/// How long an action may take. The server's own limits are shorter; this one is for a server, or a network, that
/// does not answer at all.
const ACTION: Duration = Duration::from_secs(10);

/// A PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresStore {
    pool: PgPool,
}

async fn bounded<T>(action: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
    match tokio::time::timeout(ACTION, action).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {} s", ACTION.as_secs()))),
    }
}

// A transaction that is dropped without a commit, on an error or with the caller's future, is rolled back.
#[async_trait]
impl Store for PostgresStore {
    async fn change_sequence(&self) -> Result<ChangeSequence, StoreError> {
        bounded(changes::read(&self.pool)).await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        bounded(keys::all(&self.pool)).await
    }

    async fn ensure_active_key(&self, candidate: &KeyRecord) -> Result<KeyRecord, StoreError> {
        bounded(async {
            // The usual case, a start with keys from before, writes nothing and waits for nobody.
            if let Some(active) = keys::active(&self.pool, candidate.algorithm).await? {
                return Ok(active);
            }
            let mut write = self.pool.begin().await?;
            let inserted = keys::insert_active(&mut write, candidate).await?;
            let active = keys::active(&mut *write, candidate.algorithm).await?.ok_or(StoreError::NotFound)?;
            if inserted {
                write.commit().await?;
            } else {
                write.rollback().await?;
            }
            Ok(active)
        })
        .await
    }

    async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError> {
        bounded(clients::page(&self.pool, None, i64::MAX)).await
    }

    async fn client(&self, client_id: &ClientId) -> Result<ClientRecord, StoreError> {
        bounded(clients::one(&self.pool, client_id)).await
    }

    async fn clients_page(
        &self,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        bounded(clients::page(&self.pool, after, i64::from(limit))).await
    }

    async fn create_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        bounded(async {
            let mut write = self.pool.begin().await?;
            clients::create(&mut write, record).await?;
            Ok(write.commit().await?)
        })
        .await
    }

    async fn put_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        bounded(async {
            let mut write = self.pool.begin().await?;
            clients::put(&mut write, record).await?;
            Ok(write.commit().await?)
        })
        .await
    }

    async fn delete_client(&self, client_id: &ClientId) -> Result<(), StoreError> {
        bounded(async {
            let mut write = self.pool.begin().await?;
            clients::delete(&mut write, client_id).await?;
            Ok(write.commit().await?)
        })
        .await
    }

    async fn add_client_secret(
        &self,
        client_id: &ClientId,
        secret: &SecretRecord,
        others_expire: UnixTime,
    ) -> Result<(), StoreError> {
        bounded(async {
            let mut write = self.pool.begin().await?;
            clients::touch(&mut write, client_id, secret.create_time.seconds()).await?;
            secrets::add(&mut write, client_id, secret, others_expire).await?;
            Ok(write.commit().await?)
        })
        .await
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

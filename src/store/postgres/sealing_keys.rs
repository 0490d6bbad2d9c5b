//! Wrapped sealing keys in PostgreSQL.

use sqlx::{PgConnection, PgPool, Postgres};

use super::changes;
use crate::{
    model::{SealingKeyId, SealingKeyRecord},
    store::{
        StoreError,
        rows::{self, SealingKeyColumns},
    },
};

/// Every sealing key, by provider, then oldest first.
pub(super) async fn all(pool: &PgPool) -> Result<Vec<SealingKeyRecord>, StoreError> {
    let rows: Vec<SealingKeyColumns> = sqlx::query_as(
        "SELECT sealing_key_id, provider, wrapped, created_at FROM sealing_keys ORDER BY provider, ordinal",
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(rows::sealing_key).collect()
}

/// The newest sealing key of a provider, which seals.
pub(super) async fn newest<'c, E>(executor: E, provider: &str) -> Result<Option<SealingKeyRecord>, StoreError>
where
    E: sqlx::Executor<'c, Database = Postgres>,
{
    let row: Option<SealingKeyColumns> = sqlx::query_as(
        "SELECT sealing_key_id, provider, wrapped, created_at FROM sealing_keys \
         WHERE provider = $1 ORDER BY ordinal DESC LIMIT 1",
    )
    .bind(provider)
    .fetch_optional(executor)
    .await?;
    row.map(rows::sealing_key).transpose()
}

/// Inserts `candidate` if `after` is the newest of its provider (none: if there is none yet); whether it did. If it
/// did not, the transaction must be rolled back: it counted a change that is none.
pub(super) async fn insert(
    write: &mut PgConnection,
    candidate: &SealingKeyRecord,
    after: Option<SealingKeyId>,
) -> Result<bool, StoreError> {
    changes::count(write).await?;
    let inserted = sqlx::query(
        "INSERT INTO sealing_keys (sealing_key_id, provider, wrapped, created_at, ordinal) \
         SELECT $1, $2, $3, $4, COALESCE((SELECT MAX(ordinal) FROM sealing_keys WHERE provider = $2), 0) + 1 \
         WHERE (SELECT sealing_key_id FROM sealing_keys WHERE provider = $2 ORDER BY ordinal DESC LIMIT 1) \
             IS NOT DISTINCT FROM $5",
    )
    .bind(candidate.sealing_key_id.to_string())
    .bind(&candidate.provider)
    .bind(&*candidate.wrapped)
    .bind(candidate.create_time.seconds())
    .bind(after.map(|id| id.to_string()))
    .execute(write)
    .await?
    .rows_affected();
    Ok(inserted == 1)
}

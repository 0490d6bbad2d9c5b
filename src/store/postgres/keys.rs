//! Signing keys in PostgreSQL.

use sqlx::{PgConnection, PgPool, Postgres};

use super::changes;
use crate::{
    model::{Algorithm, KeyRecord},
    store::{
        StoreError,
        rows::{self, KeyColumns},
    },
};

/// Every key, oldest first.
pub(super) async fn all(pool: &PgPool) -> Result<Vec<KeyRecord>, StoreError> {
    let rows: Vec<KeyColumns> = sqlx::query_as(
        "SELECT key_id, algorithm, state, sealed, created_at FROM signing_keys ORDER BY created_at, key_id",
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(rows::key).collect()
}

/// The active key of an algorithm.
pub(super) async fn active<'c, E>(executor: E, algorithm: Algorithm) -> Result<Option<KeyRecord>, StoreError>
where
    E: sqlx::Executor<'c, Database = Postgres>,
{
    let row: Option<KeyColumns> = sqlx::query_as(
        "SELECT key_id, algorithm, state, sealed, created_at FROM signing_keys \
         WHERE algorithm = $1 AND state = 'active'",
    )
    .bind(algorithm.name())
    .fetch_optional(executor)
    .await?;
    row.map(rows::key).transpose()
}

/// Inserts `candidate` as active unless its algorithm has an active key; whether it did. If it did not, the
/// transaction must be rolled back: it counted a change that is none.
pub(super) async fn insert_active(
    write: &mut PgConnection,
    candidate: &KeyRecord,
) -> Result<bool, StoreError> {
    changes::count(write).await?;
    let inserted = sqlx::query(
        "INSERT INTO signing_keys (key_id, algorithm, state, sealed, created_at) \
         VALUES ($1, $2, 'active', $3, $4) \
         ON CONFLICT (algorithm) WHERE state = 'active' DO NOTHING",
    )
    .bind(candidate.key_id.as_str())
    .bind(candidate.algorithm.name())
    .bind(&*candidate.sealed)
    .bind(candidate.create_time.seconds())
    .execute(write)
    .await?
    .rows_affected();
    Ok(inserted == 1)
}

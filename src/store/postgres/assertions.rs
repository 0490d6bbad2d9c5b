//! Assertions that were used, in PostgreSQL. No change to count: nobody keeps them in memory.

use sqlx::{Executor, Postgres};

use crate::{
    model::{AssertionDigest, UnixTime},
    store::StoreError,
};

/// Uses an assertion. One statement: of any number at once, one finds no live row.
pub(super) async fn use_once<'c>(
    executor: impl Executor<'c, Database = Postgres>,
    digest: &AssertionDigest,
    expire_time: UnixTime,
    now: UnixTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO used_assertions (digest, expires_at) VALUES ($1, $2) \
         ON CONFLICT (digest) DO UPDATE SET expires_at = excluded.expires_at \
         WHERE used_assertions.expires_at <= $3",
    )
    .bind(digest.as_bytes().as_slice())
    .bind(expire_time.seconds())
    .bind(now.seconds())
    .execute(executor)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes up to `limit` that have expired. Answers how many.
/// Rows that another replica is deleting are left to it.
pub(super) async fn forget<'c>(
    executor: impl Executor<'c, Database = Postgres>,
    now: UnixTime,
    limit: u32,
) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM used_assertions WHERE digest IN \
         (SELECT digest FROM used_assertions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
    )
    .bind(now.seconds())
    .bind(i64::from(limit))
    .execute(executor)
    .await?;
    Ok(done.rows_affected())
}

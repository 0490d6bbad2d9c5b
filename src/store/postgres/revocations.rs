//! Revocations in PostgreSQL.

use sqlx::{PgConnection, PgPool};

use super::changes;
use crate::{
    model::{ChangeSequence, Revocation, RevocationPage, RevocationRecord, RevocationTarget, UnixTime},
    store::{
        StoreError,
        revocation_rows::{self, RevocationColumns, revocation_columns},
        rows,
    },
};

/// Makes a revocation, and ends what it is about if that is a session. Nothing is counted if it holds already.
pub(super) async fn make(
    write: &mut PgConnection,
    revocation: &Revocation,
) -> Result<RevocationRecord, StoreError> {
    changes::lock(write).await?;
    if let RevocationTarget::Session(session_id) = &revocation.target {
        sqlx::query("DELETE FROM sessions WHERE session_id = $1")
            .bind(session_id.as_str())
            .execute(&mut *write)
            .await?;
    }
    let wanted = match held(write, &revocation.target).await? {
        None => revocation.clone(),
        Some(held) => match revocation_rows::merged(&held.revocation, revocation) {
            None => return Ok(held),
            Some(merged) => merged,
        },
    };
    let sequence = changes::count_revocation(write).await?;
    put(write, &wanted, sequence).await?;
    Ok(RevocationRecord { sequence, revocation: wanted })
}

async fn held(
    write: &mut PgConnection,
    target: &RevocationTarget,
) -> Result<Option<RevocationRecord>, StoreError> {
    let (kind, target, _) = revocation_rows::key(target);
    let row: Option<RevocationColumns> = sqlx::query_as(concat!(
        "SELECT ",
        revocation_columns!(),
        " FROM revocations WHERE kind = $1 AND target = $2"
    ))
    .bind(kind)
    .bind(target)
    .fetch_optional(write)
    .await?;
    row.map(revocation_rows::revocation).transpose()
}

async fn put(
    write: &mut PgConnection,
    revocation: &Revocation,
    sequence: ChangeSequence,
) -> Result<(), StoreError> {
    let (kind, target, issued_before) = revocation_rows::key(&revocation.target);
    sqlx::query(concat!(
        "INSERT INTO revocations (",
        revocation_columns!(),
        ", sweep) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (kind, target) DO UPDATE \
         SET issued_before = excluded.issued_before, revoked_at = excluded.revoked_at, \
             expires_at = excluded.expires_at, sequence = excluded.sequence, sweep = excluded.sweep"
    ))
    .bind(kind)
    .bind(target)
    .bind(issued_before.map(UnixTime::seconds))
    .bind(revocation.revoke_time.seconds())
    .bind(revocation.expire_time.map(UnixTime::seconds))
    .bind(sequence.0)
    .bind(issued_before.is_some())
    .execute(write)
    .await?;
    Ok(())
}

/// Up to `limit` after a change, in their order, and the last change of all: of one state of the database.
pub(super) async fn page(
    pool: &PgPool,
    after: ChangeSequence,
    limit: u32,
) -> Result<RevocationPage, StoreError> {
    let mut read = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let last = sqlx::query_scalar("SELECT value FROM change_sequence").fetch_optional(&mut *read).await?;
    let rows: Vec<RevocationColumns> = sqlx::query_as(concat!(
        "SELECT ",
        revocation_columns!(),
        " FROM revocations WHERE sequence > $1 ORDER BY sequence LIMIT $2"
    ))
    .bind(after.0)
    .bind(i64::from(limit))
    .fetch_all(&mut *read)
    .await?;
    read.rollback().await?;
    revocation_rows::page(rows, after, limit, rows::change_sequence(last)?)
}

/// Deletes up to `limit` that have expired and have no session left. Answers how many. Rows that another replica is deleting are
/// left to it.
pub(super) async fn forget(pool: &PgPool, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM revocations WHERE sequence IN \
         (SELECT sequence FROM revocations WHERE expires_at <= $1 AND NOT sweep ORDER BY expires_at LIMIT $2 \
          FOR UPDATE SKIP LOCKED)",
    )
    .bind(now.seconds())
    .bind(i64::from(limit))
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

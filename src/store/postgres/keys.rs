//! Signing keys in PostgreSQL.

use sqlx::{PgConnection, PgPool};

use super::changes;
use crate::{
    model::{ChangeSequence, KeyChange, KeyRecord, KeySet, UnixTime},
    store::{
        StoreError,
        rows::{self, KeyColumns, key_columns},
    },
};

/// Every key, oldest first, and the last change to any: of one state of the database.
pub(super) async fn all(pool: &PgPool) -> Result<KeySet, StoreError> {
    let mut read = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let sequence = sqlx::query_scalar("SELECT keys FROM change_sequence").fetch_optional(&mut *read).await?;
    let rows: Vec<KeyColumns> =
        sqlx::query_as(concat!("SELECT ", key_columns!(), " FROM signing_keys ORDER BY created_at, key_id"))
            .fetch_all(&mut *read)
            .await?;
    read.rollback().await?;
    let keys = rows.into_iter().map(rows::key).collect::<Result<_, _>>()?;
    Ok(KeySet { sequence: rows::change_sequence(sequence)?, keys })
}

/// Makes a change; none, and nothing was done but what a rollback undoes, if it is based on what was before another.
pub(super) async fn change(
    write: &mut PgConnection,
    change: &KeyChange,
) -> Result<Option<ChangeSequence>, StoreError> {
    let Some(sequence) = changes::count_keys(write, change.based_on).await? else { return Ok(None) };
    for key_id in &change.remove {
        sqlx::query("DELETE FROM signing_keys WHERE key_id = $1")
            .bind(key_id.as_str())
            .execute(&mut *write)
            .await?;
    }
    for record in &change.put {
        put(write, record, sequence).await?;
    }
    Ok(Some(sequence))
}

/// Writes a key as it is. A new one was published by this change.
async fn put(
    write: &mut PgConnection,
    record: &KeyRecord,
    sequence: ChangeSequence,
) -> Result<(), StoreError> {
    sqlx::query(concat!(
        "INSERT INTO signing_keys (",
        key_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14) \
         ON CONFLICT (key_id) DO UPDATE \
         SET algorithm = excluded.algorithm, state = excluded.state, usage = excluded.usage, \
             issuer = excluded.issuer, sealed = excluded.sealed, public = excluded.public, \
             created_at = excluded.created_at, activate_at = excluded.activate_at, \
             retire_at = excluded.retire_at, expire_at = excluded.expire_at, \
             revocation = excluded.revocation, changed_sequence = excluded.changed_sequence, \
             mac = excluded.mac",
    ))
    .bind(record.key_id.as_str())
    .bind(record.algorithm.name())
    .bind(record.state.name())
    .bind(record.usage.name())
    .bind(record.issuer.as_deref())
    .bind(record.sealed.as_deref())
    .bind(record.public.as_deref())
    .bind(record.create_time.seconds())
    .bind(record.activate_time.map(UnixTime::seconds))
    .bind(record.retire_time.map(UnixTime::seconds))
    .bind(record.expire_time.map(UnixTime::seconds))
    .bind(rows::revocation_text(record)?)
    .bind(sequence.0)
    .bind(record.mac.as_deref())
    .execute(write)
    .await?;
    Ok(())
}

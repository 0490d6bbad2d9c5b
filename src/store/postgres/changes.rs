//! The change sequence, and the word that it has grown.

use sqlx::{PgConnection, PgPool};

use crate::{
    model::ChangeSequence,
    store::{StoreError, rows},
};

/// The channel on which each change is told, when its transaction commits. One a database.
pub(super) const CHANNEL: &str = "tokend_changes";

/// How many changes there were to keys and clients.
pub(super) async fn read(pool: &PgPool) -> Result<ChangeSequence, StoreError> {
    let value =
        sqlx::query_scalar("SELECT value - revocations FROM change_sequence").fetch_optional(pool).await?;
    rows::change_sequence(value)
}

/// Counts one change, and waits for the changes before it: the first statement of every transaction that makes one.
pub(super) async fn count(write: &mut PgConnection) -> Result<(), StoreError> {
    let value = sqlx::query_scalar("UPDATE change_sequence SET value = value + 1 RETURNING value")
        .fetch_optional(&mut *write)
        .await?;
    rows::change_sequence(value)?;
    tell(write).await
}

/// Counts a change to the keys, if `based_on` is the last one; else nothing is done. It waits for the changes before it
/// as [`count`] does, and looks at what they left.
pub(super) async fn count_keys(
    write: &mut PgConnection,
    based_on: ChangeSequence,
) -> Result<Option<ChangeSequence>, StoreError> {
    let value = sqlx::query_scalar(
        "UPDATE change_sequence SET value = value + 1, keys = value + 1 WHERE keys = $1 RETURNING value",
    )
    .bind(based_on.0)
    .fetch_optional(&mut *write)
    .await?;
    let Some(value) = value else { return Ok(None) };
    tell(write).await?;
    Ok(Some(ChangeSequence(value)))
}

/// Waits for the changes before this one without counting it yet: for a transaction that must look first.
pub(super) async fn lock(write: &mut PgConnection) -> Result<(), StoreError> {
    let value =
        sqlx::query_scalar("SELECT value FROM change_sequence FOR UPDATE").fetch_optional(write).await?;
    rows::change_sequence(value).map(|_| ())
}

/// Waits for the changes before this one, and has those after it wait for this transaction, which makes none.
pub(super) async fn wait(write: &mut PgConnection) -> Result<(), StoreError> {
    let value =
        sqlx::query_scalar("SELECT value FROM change_sequence FOR SHARE").fetch_optional(write).await?;
    rows::change_sequence(value).map(|_| ())
}

/// Counts a revocation. Answers its number.
pub(super) async fn count_revocation(write: &mut PgConnection) -> Result<ChangeSequence, StoreError> {
    let value = sqlx::query_scalar(
        "UPDATE change_sequence SET value = value + 1, revocations = revocations + 1 RETURNING value",
    )
    .fetch_optional(&mut *write)
    .await?;
    tell(write).await?;
    rows::change_sequence(value)
}

async fn tell(write: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(write).await?;
    Ok(())
}

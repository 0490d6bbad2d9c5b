//! The change sequence.

use sqlx::{SqliteConnection, SqlitePool};

use crate::{
    model::ChangeSequence,
    store::{StoreError, rows},
};

/// How many changes there were to keys and clients.
pub(super) async fn read(readers: &SqlitePool) -> Result<ChangeSequence, StoreError> {
    let value =
        sqlx::query_scalar("SELECT value - revocations FROM change_sequence").fetch_optional(readers).await?;
    rows::change_sequence(value)
}

/// Counts one change: for every transaction that makes one.
pub(super) async fn count(write: &mut SqliteConnection) -> Result<(), StoreError> {
    let value = sqlx::query_scalar("UPDATE change_sequence SET value = value + 1 RETURNING value")
        .fetch_optional(write)
        .await?;
    rows::change_sequence(value).map(|_| ())
}

/// Counts a change to the keys, if `based_on` is the last one; else nothing is done.
pub(super) async fn count_keys(
    write: &mut SqliteConnection,
    based_on: ChangeSequence,
) -> Result<Option<ChangeSequence>, StoreError> {
    let value = sqlx::query_scalar(
        "UPDATE change_sequence SET value = value + 1, keys = value + 1 WHERE keys = ?1 RETURNING value",
    )
    .bind(based_on.0)
    .fetch_optional(write)
    .await?;
    Ok(value.map(ChangeSequence))
}

/// Counts a revocation. Answers its number.
pub(super) async fn count_revocation(write: &mut SqliteConnection) -> Result<ChangeSequence, StoreError> {
    let value = sqlx::query_scalar(
        "UPDATE change_sequence SET value = value + 1, revocations = revocations + 1 RETURNING value",
    )
    .fetch_optional(write)
    .await?;
    rows::change_sequence(value)
}

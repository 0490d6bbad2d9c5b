//! The change sequence.

use sqlx::{PgConnection, PgPool};

use crate::store::{ChangeSequence, StoreError, rows};

/// The number of the last change.
pub(super) async fn read(pool: &PgPool) -> Result<ChangeSequence, StoreError> {
    let value = sqlx::query_scalar("SELECT value FROM change_sequence").fetch_optional(pool).await?;
    rows::change_sequence(value)
}

/// Counts one change, and waits for the changes before it: the first statement of every transaction that makes one.
pub(super) async fn count(write: &mut PgConnection) -> Result<(), StoreError> {
    let value = sqlx::query_scalar("UPDATE change_sequence SET value = value + 1 RETURNING value")
        .fetch_optional(write)
        .await?;
    rows::change_sequence(value).map(|_| ())
}

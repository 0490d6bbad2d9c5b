//! The change sequence.

use super::{Action, Row, Sql, Store, StoreError, Transaction, locking, values};
use crate::model::ChangeSequence;

impl Store {
    /// Counts the changes to keys and clients: it grows with each of them, in the same transaction, and with nothing else.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`]
    pub async fn change_sequence(&self) -> Result<ChangeSequence, StoreError> {
        self.action(Action::ChangeSequence, async {
            let sql = "SELECT value - revocations AS sequence FROM change_sequence";
            existing(self.backend.reader().await?.fetch_optional(sql, vec![], sequence).await?)
        })
        .await
    }
}

/// Counts one change, and waits for the changes before it.
pub(super) async fn count(transaction: &mut Transaction) -> Result<ChangeSequence, StoreError> {
    let sql = "UPDATE change_sequence SET value = value + 1 RETURNING value AS sequence";
    fetch(transaction, sql).await
}

/// Counts a change to the keys, if `based_on` is the last one; else does nothing.
pub(super) async fn count_keys(
    transaction: &mut Transaction,
    based_on: ChangeSequence,
) -> Result<Option<ChangeSequence>, StoreError> {
    let sql = "UPDATE change_sequence SET value = value + 1, keys = value + 1 WHERE keys = $1 \
               RETURNING value AS sequence";
    transaction.fetch_optional(sql, values![based_on.0], sequence).await
}

/// Counts a revocation.
pub(super) async fn count_revocation(transaction: &mut Transaction) -> Result<ChangeSequence, StoreError> {
    let sql = "UPDATE change_sequence SET value = value + 1, revocations = revocations + 1 \
               RETURNING value AS sequence";
    fetch(transaction, sql).await
}

/// Waits for the changes before this one, without counting it yet: for a transaction that must read first.
pub(super) async fn lock(transaction: &mut Transaction) -> Result<(), StoreError> {
    let sql = locking!("SELECT value AS sequence FROM change_sequence", " FOR UPDATE");
    fetch(transaction, sql).await.map(|_| ())
}

/// Waits for the changes before this transaction, which makes none, and lets later changes wait for it.
pub(super) async fn lock_shared(transaction: &mut Transaction) -> Result<(), StoreError> {
    let sql = locking!("SELECT value AS sequence FROM change_sequence", " FOR SHARE");
    fetch(transaction, sql).await.map(|_| ())
}

/// The sequence that a statement returns in its only row.
pub(super) async fn fetch(
    transaction: &mut Transaction,
    sql: impl Into<Sql> + Send,
) -> Result<ChangeSequence, StoreError> {
    existing(transaction.fetch_optional(sql, vec![], sequence).await?)
}

fn sequence(row: &Row) -> Result<ChangeSequence, StoreError> {
    row.get("sequence").map(ChangeSequence)
}

fn existing(sequence: Option<ChangeSequence>) -> Result<ChangeSequence, StoreError> {
    sequence.ok_or_else(|| StoreError::corrupt("change_sequence", "value", "1", "the row is missing"))
}

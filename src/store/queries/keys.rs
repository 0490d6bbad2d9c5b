//! Signing keys.

use super::{Action, Row, Store, StoreError, Transaction, changes, values};
use crate::model::{ChangeSequence, KeyChange, KeyId, KeyRecord, KeySet, KeyState, KeyUsage};

impl Store {
    /// Every key, oldest first, as of the last change to any.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`]
    pub async fn keys(&self) -> Result<KeySet, StoreError> {
        self.action(Action::Keys, async {
            let mut snapshot = self.backend.snapshot().await?;
            let sequence =
                changes::fetch(&mut snapshot, "SELECT keys AS sequence FROM change_sequence").await?;
            let sql = "SELECT key_id, algorithm, state, usage, issuer, sealed, public, created_at, activate_at, retire_at, \
                       expire_at, revocation, publish_sequence, changed_sequence, mac \
                       FROM signing_keys ORDER BY created_at, key_id";
            let keys = snapshot.fetch_all(sql, vec![], read).await?;
            snapshot.end(false).await?;
            Ok(KeySet { sequence, keys })
        })
        .await
    }

    /// Changes the keys, if none has changed since `change.based_on`: of several concurrent changes with the same base, one is
    /// made. Returns its number, or `None` if nothing was changed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn change_keys(&self, change: &KeyChange) -> Result<Option<ChangeSequence>, StoreError> {
        self.action(Action::ChangeKeys, async {
            let mut transaction = self.backend.begin().await?;
            let Some(sequence) = changes::count_keys(&mut transaction, change.based_on).await? else {
                transaction.end(false).await?;
                return Ok(None);
            };
            for key_id in &change.remove {
                let sql = "DELETE FROM signing_keys WHERE key_id = $1";
                transaction.execute(sql, values![key_id.as_str()]).await?;
            }
            for record in &change.put {
                put(&mut transaction, record, sequence).await?;
            }
            self.backend.commit_change(transaction).await?;
            Ok(Some(sequence))
        })
        .await
    }
}

/// Inserts or replaces a key. A new key is published by this change.
async fn put(
    transaction: &mut Transaction,
    record: &KeyRecord,
    sequence: ChangeSequence,
) -> Result<(), StoreError> {
    let revocation = record.revocation.as_ref().map(serde_json::to_string).transpose();
    let revocation = revocation.map_err(|error| corrupt(record.key_id.as_str(), "revocation", error))?;
    let sql = "INSERT INTO signing_keys \
         (key_id, algorithm, state, usage, issuer, sealed, public, created_at, activate_at, retire_at, expire_at, revocation, \
          publish_sequence, changed_sequence, mac) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14) \
         ON CONFLICT (key_id) DO UPDATE \
         SET algorithm = excluded.algorithm, state = excluded.state, usage = excluded.usage, issuer = excluded.issuer, \
             sealed = excluded.sealed, public = excluded.public, created_at = excluded.created_at, \
             activate_at = excluded.activate_at, retire_at = excluded.retire_at, expire_at = excluded.expire_at, \
             revocation = excluded.revocation, changed_sequence = excluded.changed_sequence, mac = excluded.mac";
    let values = values![
        record.key_id.as_str(),
        record.algorithm.name(),
        record.state.name(),
        record.usage.name(),
        record.issuer.as_deref(),
        record.sealed.as_deref(),
        record.public.as_deref(),
        record.create_time,
        record.activate_time,
        record.retire_time,
        record.expire_time,
        revocation,
        sequence.0,
        record.mac.as_deref(),
    ];
    transaction.execute(sql, values).await?;
    Ok(())
}

fn read(row: &Row) -> Result<KeyRecord, StoreError> {
    let key_id: String = row.get("key_id")?;
    let invalid = |column, problem: &str| corrupt(&key_id, column, problem);
    let algorithm = row.get::<&str>("algorithm")?.parse();
    let state = KeyState::from_name(row.get("state")?);
    let usage = KeyUsage::from_name(row.get("usage")?);
    let revocation = row.get::<Option<&str>>("revocation")?.map(serde_json::from_str).transpose();
    Ok(KeyRecord {
        algorithm: algorithm.map_err(|_| invalid("algorithm", "unknown algorithm"))?,
        state: state.ok_or_else(|| invalid("state", "unknown state"))?,
        usage: usage.ok_or_else(|| invalid("usage", "unknown usage"))?,
        issuer: row.get("issuer")?,
        sealed: row.get("sealed")?,
        public: row.get("public")?,
        create_time: row.time("created_at")?,
        activate_time: row.optional_time("activate_at")?,
        retire_time: row.optional_time("retire_at")?,
        expire_time: row.optional_time("expire_at")?,
        revocation: revocation.map_err(|_| invalid("revocation", "not a revocation"))?,
        publish_sequence: ChangeSequence(row.get("publish_sequence")?),
        change_sequence: ChangeSequence(row.get("changed_sequence")?),
        mac: row.get("mac")?,
        key_id: KeyId::from_text(key_id),
    })
}

fn corrupt(key_id: &str, column: &'static str, problem: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt("signing_keys", column, key_id, problem)
}

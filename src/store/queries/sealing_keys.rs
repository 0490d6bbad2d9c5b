//! Wrapped sealing keys.

use super::{Action, Row, Store, StoreError, changes, values};
use crate::model::{SealingKeyId, SealingKeyRecord};

impl Store {
    /// Every wrapped sealing key, by provider, then oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`]
    pub async fn sealing_keys(&self) -> Result<Vec<SealingKeyRecord>, StoreError> {
        self.action(Action::SealingKeys, async {
            let sql = "SELECT sealing_key_id, provider, wrapped, created_at FROM sealing_keys ORDER BY provider, ordinal";
            self.backend.reader().await?.fetch_all(sql, vec![], read).await
        })
        .await
    }

    /// Makes `candidate` the newest sealing key of its provider, if `after` is the newest (`None`: if there is none): of several
    /// concurrent candidates, one is inserted. Returns the newest.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the provider has none, and `after` is one.
    pub async fn ensure_sealing_key(
        &self,
        candidate: &SealingKeyRecord,
        after: Option<SealingKeyId>,
    ) -> Result<SealingKeyRecord, StoreError> {
        self.action(Action::EnsureSealingKey, async {
            let mut transaction = self.backend.begin().await?;
            changes::count(&mut transaction).await?;
            let insert = "INSERT INTO sealing_keys (sealing_key_id, provider, wrapped, created_at, ordinal) \
                 SELECT $1, $2, $3, $4, COALESCE((SELECT MAX(ordinal) FROM sealing_keys WHERE provider = $2), 0) + 1 \
                 WHERE (SELECT sealing_key_id FROM sealing_keys WHERE provider = $2 ORDER BY ordinal DESC LIMIT 1) \
                     IS NOT DISTINCT FROM $5";
            let values = values![
                candidate.sealing_key_id.to_string(),
                &candidate.provider,
                candidate.wrapped.as_slice(),
                candidate.create_time,
                after.map(|id| id.to_string()),
            ];
            let inserted = transaction.execute(insert, values).await?;
            let newest = "SELECT sealing_key_id, provider, wrapped, created_at FROM sealing_keys \
                          WHERE provider = $1 ORDER BY ordinal DESC LIMIT 1";
            let newest = transaction.fetch_optional(newest, values![&candidate.provider], read).await?;
            if inserted == 1 {
                self.backend.commit_change(transaction).await?;
            } else {
                transaction.end(false).await?;
            }
            newest.ok_or(StoreError::NotFound)
        })
        .await
    }
}

fn read(row: &Row) -> Result<SealingKeyRecord, StoreError> {
    let id: &str = row.get("sealing_key_id")?;
    let invalid = || StoreError::corrupt("sealing_keys", "sealing_key_id", id, "not the id of a sealing key");
    Ok(SealingKeyRecord {
        sealing_key_id: SealingKeyId::from_text(id).ok_or_else(invalid)?,
        provider: row.get("provider")?,
        wrapped: row.get("wrapped")?,
        create_time: row.time("created_at")?,
    })
}

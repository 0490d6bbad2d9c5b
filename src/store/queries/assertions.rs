//! Assertions that were used. They count no change: no replica keeps them in memory.

use super::{Action, Store, StoreError, locking, values};
use crate::model::{AssertionDigest, UnixTime};

impl Store {
    /// Uses an assertion that expires at `expire_time`. Returns whether this is its first use as of `now`: of several concurrent
    /// uses, at any replica, one is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn use_assertion(
        &self,
        digest: &AssertionDigest,
        expire_time: UnixTime,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        self.action(Action::UseAssertion, async move {
            let sql = "INSERT INTO used_assertions (digest, expires_at) VALUES ($1, $2) \
                       ON CONFLICT (digest) DO UPDATE SET expires_at = excluded.expires_at \
                       WHERE used_assertions.expires_at <= $3";
            let values = values![digest.as_bytes(), expire_time, now];
            Ok(self.backend.writer().await?.execute(sql, values).await? == 1)
        })
        .await
    }

    /// Deletes up to `limit` used assertions that have expired at `now`. Returns how many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn forget_assertions(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        self.action(Action::ForgetAssertions, async move {
            let sql = locking!(
                "DELETE FROM used_assertions WHERE digest IN \
                 (SELECT digest FROM used_assertions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2",
                " FOR UPDATE SKIP LOCKED",
                ")"
            );
            self.backend.writer().await?.execute(sql, values![now, limit]).await
        })
        .await
    }
}

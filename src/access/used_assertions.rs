//! Replay protection of assertions (RFC 7523 section 3, item 7): used ones are stored for all replicas.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    clock::Clock,
    model::{AssertionDigest, UnixTime},
    store::{Store, StoreError},
};

/// The pause between two purges.
const PAUSE: Duration = Duration::from_secs(60);

/// The rows of one delete statement, so that others wait only briefly for it, and the statements of one purge.
const BATCH: u32 = 1000;
const MAX_BATCHES: u32 = 20;

/// Stores used assertions.
#[derive(Debug)]
pub struct UsedAssertions {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    /// The last purge by this replica, in seconds of the monotonic clock.
    last_purge: AtomicI64,
}

impl UsedAssertions {
    /// Uses `store`.
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, last_purge: AtomicI64::new(i64::MIN) }
    }

    /// Stores an assertion until `forget_time`. Returns whether this is its first use.
    pub(super) async fn use_once(
        &self,
        digest: &AssertionDigest,
        forget_time: UnixTime,
    ) -> Result<bool, StoreError> {
        self.store.use_assertion(digest, forget_time, self.clock.now()).await
    }

    /// Deletes the assertions that are expired at `now`, at most once a minute.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn tidy(&self, now: UnixTime) -> Result<(), StoreError> {
        let steady = self.clock.steady();
        if steady.since(UnixTime::from_seconds(self.last_purge.load(Relaxed))) < PAUSE {
            return Ok(());
        }
        for _ in 0..MAX_BATCHES {
            if self.store.forget_assertions(now, BATCH).await? < u64::from(BATCH) {
                self.last_purge.store(steady.seconds(), Relaxed);
                break;
            }
        }
        Ok(())
    }
}

//! Assertions are good once (RFC 7523 section 3, item 7): what was used is remembered in the store, for all replicas.

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

/// How often a replica deletes what has expired.
const PAUSE: Duration = Duration::from_secs(60);

/// How many rows go at once, so that nobody waits long behind them, and how often on one round.
const BATCH: u32 = 1000;
const MOST_BATCHES: u32 = 20;

/// Remembers used assertions.
#[derive(Debug)]
pub struct UsedAssertions {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// When this replica last deleted what had expired, by the clock that never goes back.
    tidied: AtomicI64,
}

impl UsedAssertions {
    /// Remembers them in `store`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, tidied: AtomicI64::new(i64::MIN) }
    }

    /// Uses an assertion, which is to be remembered until `forget_time`. Answers whether this was its first use.
    pub(super) async fn use_once(
        &self,
        digest: &AssertionDigest,
        forget_time: UnixTime,
    ) -> Result<bool, StoreError> {
        self.store.use_assertion(digest, forget_time, self.clock.now()).await
    }

    /// Deletes what has expired at `now`, now and then.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn tidy(&self, now: UnixTime) -> Result<(), StoreError> {
        let steady = self.clock.steady();
        if steady.since(UnixTime::from_seconds(self.tidied.load(Relaxed))) < PAUSE {
            return Ok(());
        }
        for _ in 0..MOST_BATCHES {
            if self.store.forget_assertions(now, BATCH).await? < u64::from(BATCH) {
                self.tidied.store(steady.seconds(), Relaxed);
                break;
            }
        }
        Ok(())
    }
}

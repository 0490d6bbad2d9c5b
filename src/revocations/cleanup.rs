//! Deletes ended sessions and expired revocations, in the store and in memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use super::set::Set;
use crate::{
    model::UnixTime,
    store::{ClockGuard, Store, StoreError},
};

/// The pause after a replica has deleted everything that had ended.
const PAUSE: Duration = Duration::from_secs(10);

/// Rows that one statement deletes, so that no other statement waits long, and statements in one round.
const BATCH: u32 = 1000;
const MAX_BATCHES: u32 = 5;

/// Shards of the set that are cleaned up in one round.
const SHARDS: usize = 8;

#[derive(Debug)]
pub(super) struct Cleanup {
    store: Arc<Store>,
    guard: Arc<ClockGuard>,
    /// When this replica last deleted everything that had ended, in seconds since 1970.
    done: AtomicI64,
    /// The next shard of the set.
    shard: AtomicUsize,
}

impl Cleanup {
    pub(super) const fn new(store: Arc<Store>, guard: Arc<ClockGuard>) -> Self {
        Self { store, guard, done: AtomicI64::new(0), shard: AtomicUsize::new(0) }
    }

    /// Deletes some of the ended sessions and revocations in the store. A revocation is deleted after every session that it may have
    /// ended.
    pub(super) async fn delete_rows(&self) -> Result<(), StoreError> {
        let Some(now) = self.guard.deletion_time() else { return Ok(()) };
        if now.since(UnixTime::from_seconds(self.done.load(Relaxed))) < PAUSE {
            return Ok(());
        }
        for _ in 0..MAX_BATCHES {
            let more_sessions = self.store.forget_sessions(now, BATCH).await? >= u64::from(BATCH);
            if !more_sessions && self.store.forget_revocations(now, BATCH).await? < u64::from(BATCH) {
                self.done.store(now.seconds(), Relaxed);
                break;
            }
        }
        Ok(())
    }

    /// Deletes the expired revocations in some shards of the set.
    pub(super) fn shrink(&self, set: &Set) {
        let Some(now) = self.guard.deletion_time() else { return };
        for _ in 0..SHARDS {
            set.clean_up(self.shard.fetch_add(1, Relaxed) % set.shards(), now);
        }
    }
}

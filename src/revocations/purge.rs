//! Letting go of what nobody has to remember any more.

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

/// How often a replica deletes what has expired, unless it has not come to the end of it.
const PAUSE: Duration = Duration::from_secs(10);

/// How many rows go at once, so that nobody waits long behind them, and how often on one round.
const BATCH: u32 = 1000;
const MOST_BATCHES: u32 = 5;

/// How many parts of what is in memory are looked at on one round.
const PARTS: usize = 8;

/// Deletes what has ended, in the store and in memory.
#[derive(Debug)]
pub(super) struct Purge {
    store: Arc<dyn Store>,
    guard: Arc<ClockGuard>,
    /// When this replica last came to the end.
    done: AtomicI64,
    /// The part of what is in memory that is next.
    part: AtomicUsize,
}

impl Purge {
    pub(super) const fn new(store: Arc<dyn Store>, guard: Arc<ClockGuard>) -> Self {
        Self { store, guard, done: AtomicI64::new(0), part: AtomicUsize::new(0) }
    }

    /// Deletes some of the sessions and revocations in the store that have ended: of the revocations none before every session
    /// that it may have ended.
    pub(super) async fn rows(&self) -> Result<(), StoreError> {
        let Some(now) = self.guard.forget_time() else { return Ok(()) };
        if now.since(UnixTime::from_seconds(self.done.load(Relaxed))) < PAUSE {
            return Ok(());
        }
        for _ in 0..MOST_BATCHES {
            let more_sessions = self.store.forget_sessions(now, BATCH).await? >= u64::from(BATCH);
            if !more_sessions && self.store.forget_revocations(now, BATCH).await? < u64::from(BATCH) {
                self.done.store(now.seconds(), Relaxed);
                break;
            }
        }
        Ok(())
    }

    /// Lets go of what has expired in some parts of what is in memory.
    pub(super) fn memory(&self, set: &Set) {
        let Some(now) = self.guard.forget_time() else { return };
        for _ in 0..PARTS {
            set.tidy(self.part.fetch_add(1, Relaxed) % set.parts(), now);
        }
    }
}

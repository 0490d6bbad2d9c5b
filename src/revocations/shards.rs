//! A log in many shards, so that work on one of them is short.
//!
//! A reader waits at most for the insertion of one entry. Anything longer is done on a copy.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    sync::{
        Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use super::{
    entry::{Entry, Key},
    log::{Counts, Log},
};
use crate::model::{ChangeSequence, UnixTime};

/// A log is rebuilt when more than one entry in 8 has expired.
const MAX_EXPIRED: usize = 8;

/// Entries of one type, by key and by sequence.
pub(super) struct Shards<E> {
    /// A power of two.
    logs: Box<[RwLock<Log<E>>]>,
    /// Randomly keyed, so that no caller can choose keys that collide.
    hasher: RandomState,
    /// The largest possible number of entries, so that empty shards are not searched.
    len: AtomicUsize,
    /// Held by a writer.
    writing: Mutex<()>,
}

impl<E: Entry> Shards<E> {
    /// Creates `2^bits` empty shards.
    pub(super) fn new(bits: u32) -> Self {
        Self {
            logs: (0..1_usize << bits).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            len: AtomicUsize::new(0),
            writing: Mutex::new(()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len.load(SeqCst) == 0
    }

    /// Applies `read` to the entry of a key, if there is one.
    pub(super) fn find<T>(&self, key: Key<'_>, read: impl FnOnce(&E) -> T) -> Option<T> {
        let hash = self.hash(key);
        let log = read_lock(self.logs.get(self.shard(hash))?);
        log.find(hash, key).map(read)
    }

    /// Inserts an entry, and replaces the one with its key, unless that one is as new. [`Self::between`] needs entries to be inserted
    /// in their order.
    pub(super) fn insert(&self, entry: E, now: UnixTime) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = self.hash(entry.key());
        let Some(log) = self.logs.get(self.shard(hash)) else { return };
        let (as_new, has_room) = {
            let log = read_lock(log);
            let existing = log.find(hash, entry.key());
            (existing.is_some_and(|existing| existing.sequence() >= entry.sequence()), log.has_room())
        };
        if as_new {
            return;
        }
        if !has_room {
            self.rebuild(log, now);
        }
        self.len.fetch_add(1, SeqCst);
        write_lock(log).insert(entry, |key| self.hash(key));
    }

    /// Counts the live entries of a shard, and rebuilds the shard if many have expired.
    pub(super) fn clean_up(&self, shard: usize, now: UnixTime) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = self.logs.get(shard % self.logs.len()) else { return };
        let (live, len) = {
            let log = read_lock(log);
            (log.count_live(now), log.len())
        };
        let expired = len - live.iter().sum::<usize>();
        if expired > len / MAX_EXPIRED {
            self.rebuild(log, now);
        } else if read_lock(log).live() != live {
            write_lock(log).set_live(live);
        }
    }

    fn rebuild(&self, log: &RwLock<Log<E>>, now: UnixTime) {
        let (rebuilt, before) = {
            let log = read_lock(log);
            (log.rebuilt(now, |key| self.hash(key)), log.len())
        };
        self.len.fetch_sub(before - rebuilt.len(), SeqCst);
        let old = std::mem::replace(&mut *write_lock(log), rebuilt);
        // Freed without the lock.
        drop(old);
    }

    /// The entries after a change and up to another, about `limit` of each shard, and the change up to which they are complete.
    pub(super) fn between(
        &self,
        after: ChangeSequence,
        up_to: ChangeSequence,
        limit: usize,
    ) -> (Vec<E>, ChangeSequence) {
        let (mut found, mut complete) = (Vec::new(), up_to);
        if self.is_empty() {
            return (found, complete);
        }
        for log in &self.logs {
            let log = read_lock(log);
            let entries = log.after(after);
            let last = entries.get(limit.saturating_sub(1)).map(Entry::sequence);
            complete = last.map_or(complete, |last| complete.min(last));
            found.extend(entries.iter().take_while(|entry| entry.sequence() <= complete).cloned());
        }
        found.retain(|entry| entry.sequence() <= complete);
        (found, complete)
    }

    /// The entries of each kind that had not expired at the last count of their shard.
    pub(super) fn live(&self) -> Counts {
        let mut counts = Counts::default();
        for log in &self.logs {
            for (count, more) in counts.iter_mut().zip(read_lock(log).live()) {
                *count += more;
            }
        }
        counts
    }

    /// The memory of the shards.
    pub(super) fn bytes(&self) -> usize {
        let logs = self.logs.iter().map(|log| read_lock(log).bytes() + size_of::<RwLock<Log<E>>>());
        logs.sum()
    }

    pub(super) const fn count(&self) -> usize {
        self.logs.len()
    }

    fn hash(&self, key: Key<'_>) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The hash table uses the lowest and the highest bits of the hash; this uses the bits between them.
    fn shard(&self, hash: u64) -> usize {
        (hash >> 40) as usize & (self.logs.len() - 1)
    }
}

fn read_lock<E>(log: &RwLock<Log<E>>) -> RwLockReadGuard<'_, Log<E>> {
    log.read().unwrap_or_else(PoisonError::into_inner)
}

fn write_lock<E>(log: &RwLock<Log<E>>) -> RwLockWriteGuard<'_, Log<E>> {
    log.write().unwrap_or_else(PoisonError::into_inner)
}

//! A log in many parts, so that what is done to one of them is soon done.
//!
//! Readers never wait for longer than it takes to put one entry in: whatever takes longer is done to a copy while they read on.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    sync::{
        Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use super::{
    entry::{Entry, Name},
    log::{Counts, Log},
};
use crate::model::{ChangeSequence, UnixTime};

/// Of a log, one part in so many may have expired before it is made anew without them.
const MOST_EXPIRED: usize = 8;

/// Entries of one sort, by name and by sequence.
pub(super) struct Shards<E> {
    /// As many as a power of two says.
    logs: Box<[RwLock<Log<E>>]>,
    /// Its keys are random, so that nobody can choose names that meet.
    hasher: RandomState,
    /// How many entries there are at the most, so that nobody looks where nothing is.
    len: AtomicUsize,
    /// Held by the one who changes something.
    writing: Mutex<()>,
}

impl<E: Entry> Shards<E> {
    /// Without entries, in `2^bits` parts.
    pub(super) fn new(bits: u32) -> Self {
        Self {
            logs: (0..1_usize << bits).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            len: AtomicUsize::new(0),
            writing: Mutex::new(()),
        }
    }

    /// Whether there is nothing to find.
    pub(super) fn is_empty(&self) -> bool {
        self.len.load(SeqCst) == 0
    }

    /// What `read` makes of the entry of that name, if there is one.
    pub(super) fn find<T>(&self, name: Name<'_>, read: impl FnOnce(&E) -> T) -> Option<T> {
        let hash = self.hash(name);
        let log = reading(self.logs.get(self.part(hash))?);
        log.find(hash, name).map(read)
    }

    /// Puts an entry in, in the place of the one of its name, unless that one is as new. For [`Self::between`] they must be put in
    /// in their order.
    pub(super) fn put(&self, entry: E, now: UnixTime) {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = self.hash(entry.name());
        let Some(log) = self.logs.get(self.part(hash)) else { return };
        let (as_new, has_room) = {
            let log = reading(log);
            let held = log.find(hash, entry.name());
            (held.is_some_and(|held| held.sequence() >= entry.sequence()), log.has_room())
        };
        if as_new {
            return;
        }
        if !has_room {
            self.make_anew(log, now);
        }
        self.len.fetch_add(1, SeqCst);
        writing(log).put(entry, |name| self.hash(name));
    }

    /// Lets go of what has expired in one of the parts, if it is much, and counts what has not.
    pub(super) fn tidy(&self, part: usize, now: UnixTime) {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = self.logs.get(part % self.logs.len()) else { return };
        let (live, len) = {
            let log = reading(log);
            (log.counted(now), log.len())
        };
        let expired = len - live.iter().sum::<usize>();
        if expired > len / MOST_EXPIRED {
            self.make_anew(log, now);
        } else if reading(log).live() != live {
            writing(log).set_live(live);
        }
    }

    fn make_anew(&self, log: &RwLock<Log<E>>, now: UnixTime) {
        let (anew, before) = {
            let log = reading(log);
            (log.made_anew(now, |name| self.hash(name)), log.len())
        };
        self.len.fetch_sub(before - anew.len(), SeqCst);
        let old = std::mem::replace(&mut *writing(log), anew);
        // Not with the lock.
        drop(old);
    }

    /// Entries after a change and up to another, about `limit` of each part, and the change up to which these are all.
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
            let log = reading(log);
            let entries = log.after(after);
            let last = entries.get(limit.saturating_sub(1)).map(Entry::sequence);
            complete = last.map_or(complete, |last| complete.min(last));
            found.extend(entries.iter().take_while(|entry| entry.sequence() <= complete).cloned());
        }
        found.retain(|entry| entry.sequence() <= complete);
        (found, complete)
    }

    /// How many of each kind have not expired, as far as that was noticed.
    pub(super) fn live(&self) -> Counts {
        let mut counts = Counts::default();
        for log in &self.logs {
            for (count, more) in counts.iter_mut().zip(reading(log).live()) {
                *count += more;
            }
        }
        counts
    }

    /// What they take in memory.
    pub(super) fn bytes(&self) -> usize {
        let logs = self.logs.iter().map(|log| reading(log).bytes() + size_of::<RwLock<Log<E>>>());
        logs.sum()
    }

    /// How many parts there are.
    pub(super) const fn parts(&self) -> usize {
        self.logs.len()
    }

    fn hash(&self, name: Name<'_>) -> u64 {
        self.hasher.hash_one(name)
    }

    /// A table finds its way by the lowest and the highest bits, so that those in the middle are left for this.
    fn part(&self, hash: u64) -> usize {
        (hash >> 40) as usize & (self.logs.len() - 1)
    }
}

fn reading<E>(log: &RwLock<Log<E>>) -> RwLockReadGuard<'_, Log<E>> {
    log.read().unwrap_or_else(PoisonError::into_inner)
}

fn writing<E>(log: &RwLock<Log<E>>) -> RwLockWriteGuard<'_, Log<E>> {
    log.write().unwrap_or_else(PoisonError::into_inner)
}

//! A log of entries in the order of their sequences, with an index by key.
//!
//! Growing and removing expired entries build another log while this one is being read. Only the insertion of one entry excludes
//! readers.

use hashbrown::HashTable;

use super::entry::{Entry, Key, Kind};
use crate::model::{ChangeSequence, UnixTime};

/// The smallest spare capacity of a rebuilt log.
const MIN_SPARE: usize = 8;

/// A number of entries by kind.
pub(super) type Counts = [usize; Kind::ALL.len()];

/// Entries of one type: fewer than 2^32.
pub(super) struct Log<E> {
    /// By sequence. A replaced entry stays until the log is rebuilt, and counts as expired.
    entries: Vec<E>,
    /// The position of each key's entry.
    positions: HashTable<u32>,
    /// The memory of the entries beside their own size.
    heap_bytes: usize,
    /// The entries that had not expired at the last count.
    live: Counts,
}

impl<E> Default for Log<E> {
    fn default() -> Self {
        Self { entries: Vec::new(), positions: HashTable::new(), heap_bytes: 0, live: Counts::default() }
    }
}

impl<E: Entry> Log<E> {
    /// The entry of a key whose hash is `hash`.
    pub(super) fn find(&self, hash: u64, key: Key<'_>) -> Option<&E> {
        let entry = |position: &u32| self.entries.get(*position as usize);
        let is_found = |position: &u32| entry(position).is_some_and(|entry| entry.key() == key);
        entry(self.positions.find(hash, is_found)?)
    }

    /// Whether an entry can be inserted without growing.
    pub(super) fn has_room(&self) -> bool {
        self.entries.len() < self.entries.capacity() && self.positions.len() < self.positions.capacity()
    }

    /// Inserts an entry, and replaces the one with its key. No entry has a higher sequence.
    pub(super) fn insert(&mut self, entry: E, hash: impl Fn(Key<'_>) -> u64) {
        let Ok(end) = u32::try_from(self.entries.len()) else { return };
        let key = entry.key();
        let entries = &self.entries;
        let at = |position: u32| entries.get(position as usize);
        let same = |position: &u32| at(*position).is_some_and(|other| other.key() == key);
        if let Some(position) = self.positions.find_mut(hash(key), same) {
            let replaced = std::mem::replace(position, end);
            if let Some(replaced) = self.entries.get_mut(replaced as usize) {
                replaced.end();
            }
        } else {
            let rehash = |position: &u32| at(*position).map_or(0, |entry| hash(entry.key()));
            self.positions.insert_unique(hash(key), end, rehash);
            count(&mut self.live, key.kind());
        }
        self.heap_bytes += entry.heap_bytes();
        self.entries.push(entry);
    }

    /// A copy without the entries that have expired at `now`, and with spare capacity.
    pub(super) fn rebuilt(&self, now: UnixTime, hash: impl Fn(Key<'_>) -> u64) -> Self {
        let live = || self.entries.iter().filter(|entry| !entry.has_expired(now));
        let count = live().count();
        let capacity = if count == 0 { 0 } else { count + count / 4 + MIN_SPARE };
        let (entries, positions) = (Vec::with_capacity(capacity), HashTable::with_capacity(capacity));
        let mut rebuilt = Self { entries, positions, ..Self::default() };
        for entry in live() {
            rebuilt.insert(entry.clone(), &hash);
        }
        rebuilt
    }

    /// Counts the entries that have not expired at `now`.
    pub(super) fn count_live(&self, now: UnixTime) -> Counts {
        let mut counts = Counts::default();
        for entry in self.entries.iter().filter(|entry| !entry.has_expired(now)) {
            count(&mut counts, entry.key().kind());
        }
        counts
    }

    pub(super) const fn set_live(&mut self, live: Counts) {
        self.live = live;
    }

    /// The entries that had not expired at the last count.
    pub(super) const fn live(&self) -> Counts {
        self.live
    }

    /// The number of entries, including expired ones.
    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries after a change, in order.
    pub(super) fn after(&self, sequence: ChangeSequence) -> &[E] {
        let from = self.entries.partition_point(|entry| entry.sequence() <= sequence);
        self.entries.get(from..).unwrap_or_default()
    }

    /// The memory of the log.
    pub(super) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<E>() + self.positions.allocation_size() + self.heap_bytes
    }
}

fn count(counts: &mut Counts, kind: Kind) {
    if let Some(count) = counts.get_mut(kind as usize) {
        *count += 1;
    }
}

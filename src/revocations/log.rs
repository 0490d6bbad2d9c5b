//! Entries in the order of their sequences, and where each is.
//!
//! What takes long (making room, letting go of what has expired) makes another log while this one is read on. Only putting one
//! entry in keeps readers out, and it is short.

use hashbrown::HashTable;

use super::entry::{Entry, Kind, Name};
use crate::model::{ChangeSequence, UnixTime};

/// Room that a fresh log has.
const LEAST_ROOM: usize = 8;

/// How many of each kind.
pub(super) type Counts = [usize; Kind::ALL.len()];

/// Entries of one sort: fewer than 2^32.
pub(super) struct Log<E> {
    /// By sequence. One that another took the place of stays until the log is made anew, and counts as expired.
    entries: Vec<E>,
    /// Where the entry of each name is.
    places: HashTable<u32>,
    /// What the entries take beside their own size.
    heap_bytes: usize,
    /// How many had not expired when they were last counted.
    live: Counts,
}

impl<E> Default for Log<E> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: HashTable::new(), heap_bytes: 0, live: Counts::default() }
    }
}

impl<E: Entry> Log<E> {
    /// The entry of that name, which hashes to `hash`.
    pub(super) fn find(&self, hash: u64, name: Name<'_>) -> Option<&E> {
        let entry = |place: &u32| self.entries.get(*place as usize);
        let place = self.places.find(hash, |place| entry(place).is_some_and(|entry| entry.name() == name))?;
        entry(place)
    }

    /// Whether one more can be put in at once.
    pub(super) fn has_room(&self) -> bool {
        self.entries.len() < self.entries.capacity() && self.places.len() < self.places.capacity()
    }

    /// Puts `entry` in, in the place of the one of its name. Its sequence is not below that of any other.
    pub(super) fn put(&mut self, entry: E, hash: impl Fn(Name<'_>) -> u64) {
        let Ok(end) = u32::try_from(self.entries.len()) else { return };
        let name = entry.name();
        let entries = &self.entries;
        let at = |place: u32| entries.get(place as usize);
        let same = |place: &u32| at(*place).is_some_and(|other| other.name() == name);
        if let Some(place) = self.places.find_mut(hash(name), same) {
            let before = std::mem::replace(place, end);
            if let Some(before) = self.entries.get_mut(before as usize) {
                before.end();
            }
        } else {
            let rehash = |place: &u32| at(*place).map_or(0, |entry| hash(entry.name()));
            self.places.insert_unique(hash(name), end, rehash);
            count(&mut self.live, name.kind());
        }
        self.heap_bytes += entry.heap_bytes();
        self.entries.push(entry);
    }

    /// The same without what has expired at `now`, and with room for more.
    pub(super) fn made_anew(&self, now: UnixTime, hash: impl Fn(Name<'_>) -> u64) -> Self {
        let live = || self.entries.iter().filter(|entry| !entry.has_expired(now));
        let count = live().count();
        let room = if count == 0 { 0 } else { count + count / 4 + LEAST_ROOM };
        let (entries, places) = (Vec::with_capacity(room), HashTable::with_capacity(room));
        let mut anew = Self { entries, places, ..Self::default() };
        for entry in live() {
            anew.put(entry.clone(), &hash);
        }
        anew
    }

    /// How many have not expired at `now`.
    pub(super) fn counted(&self, now: UnixTime) -> Counts {
        let mut counts = Counts::default();
        for entry in self.entries.iter().filter(|entry| !entry.has_expired(now)) {
            count(&mut counts, entry.name().kind());
        }
        counts
    }

    /// Keeps a count.
    pub(super) const fn set_live(&mut self, live: Counts) {
        self.live = live;
    }

    /// How many had not expired when they were last counted.
    pub(super) const fn live(&self) -> Counts {
        self.live
    }

    /// How many there are, expired ones included.
    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Those after a change, in order.
    pub(super) fn after(&self, sequence: ChangeSequence) -> &[E] {
        let from = self.entries.partition_point(|entry| entry.sequence() <= sequence);
        self.entries.get(from..).unwrap_or_default()
    }

    /// What it takes.
    pub(super) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<E>() + self.places.allocation_size() + self.heap_bytes
    }
}

fn count(counts: &mut Counts, kind: Kind) {
    if let Some(count) = counts.get_mut(kind as usize) {
        *count += 1;
    }
}

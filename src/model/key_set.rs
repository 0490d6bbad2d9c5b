//! The keys as of one change, and changes to them.

use super::{Algorithm, KeyId, KeyRecord, KeyState};

/// Counts the changes to keys, clients and revocations. A replica compares the value of its copy with the store's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeSequence(pub i64);

/// Every key as of one change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet {
    /// The last change to any key.
    pub sequence: ChangeSequence,
    /// The keys, by creation time, then id.
    pub keys: Vec<KeyRecord>,
}

impl KeySet {
    /// The key with that id.
    pub fn get(&self, key_id: &str) -> Option<&KeyRecord> {
        self.keys.iter().find(|record| record.key_id.as_str() == key_id)
    }

    /// The active key of `algorithm`.
    pub fn active(&self, algorithm: Algorithm) -> Option<&KeyRecord> {
        self.of(algorithm, KeyState::Active).next()
    }

    /// The pending key of `algorithm`.
    pub fn pending(&self, algorithm: Algorithm) -> Option<&KeyRecord> {
        self.of(algorithm, KeyState::Pending).next()
    }

    /// The keys with that algorithm and state.
    pub fn of(&self, algorithm: Algorithm, state: KeyState) -> impl Iterator<Item = &KeyRecord> {
        self.keys.iter().filter(move |record| record.algorithm == algorithm && record.state == state)
    }
}

/// An atomic change to the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// The base of the change: it is made only if no key has changed since.
    pub based_on: ChangeSequence,
    /// Keys to delete first.
    pub remove: Vec<KeyId>,
    /// Keys to insert or replace, in this order: of two keys of an algorithm, the one that leaves a state comes before the one that
    /// enters it.
    pub put: Vec<KeyRecord>,
}

impl KeyChange {
    /// An empty change based on `set`.
    pub const fn of(set: &KeySet) -> Self {
        Self { based_on: set.sequence, remove: Vec::new(), put: Vec::new() }
    }

    /// Deletes a key.
    pub fn remove(mut self, key_id: &KeyId) -> Self {
        self.remove.push(key_id.clone());
        self
    }

    /// Writes a key.
    pub fn put(mut self, record: KeyRecord) -> Self {
        self.put.push(record);
        self
    }
}

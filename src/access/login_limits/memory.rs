//! A map that forgets the oldest when it is full.

use std::collections::HashMap;

use super::Tag;

/// Entries by tag, in two halves: when the newer one is full, the older one is forgotten and the newer takes its place. To push an
/// entry out, one must make as many others as a half holds.
pub(super) struct Memory<T> {
    newer: HashMap<Tag, T>,
    older: HashMap<Tag, T>,
    most: usize,
}

impl<T: Default> Memory<T> {
    /// Remembers at least `most` entries, and at most twice as many.
    pub(super) fn new(most: usize) -> Self {
        Self { newer: HashMap::new(), older: HashMap::new(), most: most.max(1) }
    }

    /// An entry, if it is there; it becomes one of the newer.
    pub(super) fn get_mut(&mut self, tag: &Tag) -> Option<&mut T> {
        if !self.newer.contains_key(tag) {
            let entry = self.older.remove(tag)?;
            self.insert(*tag, entry);
        }
        self.newer.get_mut(tag)
    }

    /// An entry, which is made if it is not there.
    pub(super) fn entry(&mut self, tag: Tag) -> &mut T {
        if self.get_mut(&tag).is_none() {
            self.insert(tag, T::default());
        }
        self.newer.entry(tag).or_default()
    }

    pub(super) fn remove(&mut self, tag: &Tag) {
        self.newer.remove(tag);
        self.older.remove(tag);
    }

    fn insert(&mut self, tag: Tag, entry: T) {
        if self.newer.len() >= self.most {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(tag, entry);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.newer.len() + self.older.len()
    }
}

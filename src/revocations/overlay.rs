//! Revocations that were made here and could not yet be read back from the store.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::set::Set;
use crate::model::{ChangeSequence, RevocationRecord, TokenClaims, UnixTime};

/// The revocations that are in force here, and not in the set that follows the store.
pub(super) struct Overlay {
    set: ArcSwap<Set>,
    /// The last one.
    last: Mutex<Option<ChangeSequence>>,
}

impl Overlay {
    pub(super) fn new() -> Self {
        Self { set: ArcSwap::from_pointee(Set::small()), last: Mutex::new(None) }
    }

    pub(super) fn insert(&self, record: RevocationRecord, now: UnixTime) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(Some(record.sequence));
        self.set.load().insert(record, now);
    }

    /// Deletes the revocations once every revocation up to `loaded` was read from the store.
    pub(super) fn clear_up_to(&self, loaded: ChangeSequence) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last <= loaded) {
            *last = None;
            self.set.store(Arc::new(Set::small()));
        }
    }

    /// Whether the token with these claims is revoked by the overlay.
    pub(super) fn revokes(&self, claims: &TokenClaims, own: bool, now: UnixTime) -> bool {
        self.set.load().revokes(claims, own, now)
    }
}

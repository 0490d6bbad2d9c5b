//! Revocations that were made here and could not be read back yet.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::set::Set;
use crate::model::{ChangeSequence, RevocationRecord, TokenClaims, UnixTime};

/// What is in force here, and not in the set that follows the store.
pub(super) struct Overlay {
    set: ArcSwap<Set>,
    /// The last of them.
    last: Mutex<Option<ChangeSequence>>,
}

impl Overlay {
    pub(super) fn new() -> Self {
        Self { set: ArcSwap::from_pointee(Set::small()), last: Mutex::new(None) }
    }

    /// Puts one in force.
    pub(super) fn put(&self, record: RevocationRecord, now: UnixTime) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last).max(Some(record.sequence));
        self.set.load().put(record, now);
    }

    /// Everything up to `held` was read from the store.
    pub(super) fn read_back(&self, held: ChangeSequence) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last <= held) {
            *last = None;
            self.set.store(Arc::new(Set::small()));
        }
    }

    /// Whether the token with these claims is revoked by one of them.
    pub(super) fn refuses(&self, claims: &TokenClaims, own: bool, now: UnixTime) -> bool {
        self.set.load().refuses(claims, own, now)
    }
}

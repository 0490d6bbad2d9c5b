//! Verified tokens by their whole text. An entry is not a decision: keys, times and revocations are checked at each hit. A token that was
//! rejected is not cached, so that rejected tokens cannot evict others.

use std::{fmt, sync::Arc};

use quick_cache::{Weighter, sync::Cache};

use super::Claims;

/// The usual size of a token with its entry in bytes, for the initial capacity.
const USUAL_ENTRY: u64 = 2048;

/// Verified tokens. `M` is what a verifier notes about a token.
pub(super) struct TokenCache<M>(Option<Cache<Box<str>, Arc<Entry<M>>, Bytes>>);

/// A verified token.
pub(super) struct Entry<M> {
    pub(super) claims: Claims,
    pub(super) note: M,
}

impl<M> TokenCache<M> {
    /// A cache of `capacity` bytes; with 0 nothing is cached.
    pub(super) fn new(capacity: u64) -> Self {
        let items = usize::try_from(capacity / USUAL_ENTRY).unwrap_or(usize::MAX);
        Self((capacity > 0).then(|| Cache::with_weighter(items, capacity, Bytes)))
    }

    pub(super) fn get(&self, token: &str) -> Option<Arc<Entry<M>>> {
        self.0.as_ref()?.get(token)
    }

    pub(super) fn insert(&self, token: &str, claims: Claims, note: M) {
        if let Some(cache) = &self.0 {
            cache.insert(token.into(), Arc::new(Entry { claims, note }));
        }
    }
}

impl<M> fmt::Debug for TokenCache<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache")
    }
}

/// Weighs an entry by its bytes.
#[derive(Clone)]
struct Bytes;

impl<M> Weighter<Box<str>, Arc<Entry<M>>> for Bytes {
    fn weight(&self, token: &Box<str>, entry: &Arc<Entry<M>>) -> u64 {
        u64::try_from(token.len() + size_of::<M>() + entry.claims.bytes()).unwrap_or(u64::MAX)
    }
}

//! The verified-token cache: tokens whose signature was verified and whose claims were read.
//!
//! An entry is not a decision. At each hit, [`Verifier::cached`](super::Verifier::cached) checks that the key is still in the ring, and
//! [`Verifier::verify_known`](super::Verifier::verify_known) checks issuer, audience, times, scopes and revocations for this caller. A token that was refused is not cached, so that refused
//! tokens cannot evict others.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use quick_cache::{Lifecycle, Weighter, sync::Cache};

use super::{EncodedClaims, verify::KnownToken};
use crate::metrics::MetricsRegistry;

/// The usual size of a token with its entry in bytes, for the initial capacity.
const USUAL_ENTRY: u64 = 2048;

/// Verified tokens by their whole text.
pub(crate) struct TokenCache<E = KnownToken> {
    entries: Option<Entries<E>>,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: Arc<AtomicU64>,
}

type Entries<E> = Cache<Box<str>, Arc<E>, Bytes, quick_cache::DefaultHashBuilder, CountEvictions>;

/// The memory of an entry without the token's text.
pub(crate) trait EntryBytes {
    fn bytes(&self) -> usize;
}

impl EntryBytes for KnownToken {
    fn bytes(&self) -> usize {
        // The texts of the registered claims, each with an allocation, and the overhead of the cache.
        const ALLOCATIONS: usize = 512;
        let EncodedClaims { fields, claims_at, .. } = &self.encoded;
        let lists = size_of::<String>() * 2 * (self.claims.audiences.len() + self.claims.scopes.len());
        // The registered claims are both encoded and decoded.
        size_of::<Self>() + ALLOCATIONS + lists + claims_at + fields.len()
    }
}

impl<E: EntryBytes> TokenCache<E> {
    /// A cache of `capacity` bytes; with 0 nothing is cached.
    pub(super) fn new(capacity: u64) -> Self {
        let evictions = Arc::<AtomicU64>::default();
        let items = usize::try_from(capacity / USUAL_ENTRY).unwrap_or(usize::MAX);
        let entries = (capacity > 0).then(|| {
            let count = CountEvictions(Arc::clone(&evictions));
            Cache::with(items, capacity, Bytes, quick_cache::DefaultHashBuilder::default(), count)
        });
        Self { entries, hits: AtomicU64::new(0), misses: AtomicU64::new(0), evictions }
    }

    /// The entry of this token, if it is `current`.
    pub(super) fn get(&self, token: &str, current: impl FnOnce(&E) -> bool) -> Option<Arc<E>> {
        let known = self.entries.as_ref()?.get(token).filter(|known| current(known));
        if known.is_some() { &self.hits } else { &self.misses }.fetch_add(1, Relaxed);
        known
    }

    pub(super) fn insert(&self, token: &str, known: &Arc<E>) {
        if let Some(entries) = &self.entries {
            entries.insert(token.into(), Arc::clone(known));
        }
    }
}

impl<E> fmt::Debug for TokenCache<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache")
    }
}

impl TokenCache {
    /// Registers the hits, misses, evictions and the estimated memory.
    pub(crate) fn register_metrics(self: &Arc<Self>, metrics: &mut MetricsRegistry) {
        let cache = Arc::clone(self);
        metrics.on_scrape(move |scrape| {
            let help = "Verified tokens that were in the verified-token cache";
            scrape.counter("tokend_verify_cache_hits", help, cache.hits.load(Relaxed))?;
            let help = "Tokens that were not in the verified-token cache";
            scrape.counter("tokend_verify_cache_misses", help, cache.misses.load(Relaxed))?;
            let help = "Verified tokens that made room for others";
            scrape.counter("tokend_verify_cache_evictions", help, cache.evictions.load(Relaxed))?;
            let help = "Memory that the verified-token cache takes, as it is estimated";
            scrape.gauge("tokend_verify_cache_bytes", help, cache.entries.as_ref().map_or(0, Cache::weight))
        });
    }
}

/// Weighs an entry by its bytes.
#[derive(Debug, Clone)]
struct Bytes;

impl<E: EntryBytes> Weighter<Box<str>, Arc<E>> for Bytes {
    fn weight(&self, token: &Box<str>, entry: &Arc<E>) -> u64 {
        u64::try_from(token.len() + entry.bytes()).unwrap_or(u64::MAX)
    }
}

#[derive(Debug, Clone)]
struct CountEvictions(Arc<AtomicU64>);

impl<E> Lifecycle<Box<str>, Arc<E>> for CountEvictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Box<str>, _: Arc<E>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// An entry that counts how many bytes of its kind are in memory.
    struct Counted<'a>(&'a AtomicUsize);

    const ENTRY: usize = 900;

    impl<'a> Counted<'a> {
        fn new(live: &'a AtomicUsize) -> Arc<Self> {
            live.fetch_add(ENTRY, Relaxed);
            Arc::new(Self(live))
        }
    }

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(ENTRY, Relaxed);
        }
    }

    impl EntryBytes for Counted<'_> {
        fn bytes(&self) -> usize {
            ENTRY
        }
    }

    #[test]
    fn a_million_tokens_take_no_more_memory_than_was_set() {
        const CAPACITY: u64 = 4 << 20;
        let live = AtomicUsize::new(0);
        let cache = TokenCache::new(CAPACITY);
        let mut most = 0;
        std::thread::scope(|scope| {
            let insert = |first: u32| {
                let (cache, live) = (&cache, &live);
                move || {
                    let mut most = 0;
                    for number in (first..1_000_000).step_by(2) {
                        cache.insert(&format!("{number:0100}"), &Counted::new(live));
                        most = most.max(live.load(Relaxed));
                    }
                    most
                }
            };
            let threads = [0, 1].map(|first| scope.spawn(insert(first)));
            most = threads.into_iter().filter_map(|thread| thread.join().ok()).max().unwrap_or_default();
        });
        // Each thread holds one entry that is on its way in or out.
        let bound = usize::try_from(CAPACITY).unwrap_or_default() + 4 * ENTRY;
        assert!(most <= bound && most > bound / 2, "{most} bytes in memory, of {bound}");
        let (kept, evicted) = (live.load(Relaxed) / ENTRY, cache.evictions.load(Relaxed));
        assert_eq!(
            u64::try_from(kept).unwrap_or_default() + evicted,
            1_000_000,
            "each is kept or was evicted"
        );
    }

    #[test]
    fn a_cache_that_is_turned_off_keeps_nothing() {
        let live = AtomicUsize::new(0);
        let cache = TokenCache::new(0);
        cache.insert("token", &Counted::new(&live));
        assert!(cache.get("token", |_| true).is_none() && live.load(Relaxed) == 0);
    }
}

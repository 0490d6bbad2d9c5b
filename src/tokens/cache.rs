//! The verified-token cache: tokens whose signature was verified and whose claims were read.
//!
//! An entry is no verdict. On each call, for each caller anew, [`Verifier::verify`](super::Verifier::verify) compares the key with the
//! key ring, and checks issuer, audience, times, scopes and revocations. A token that was refused is not cached, so that refused
//! tokens cannot evict others.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use quick_cache::{Lifecycle, Weighter, sync::Cache};

use super::verify::{EncodedClaims, KnownToken};

/// A token of usual size with its entry, in bytes: how many entries the cache makes room for at first.
const USUAL_ENTRY: u64 = 2048;

/// Examined tokens by their whole text.
#[derive(Debug)]
pub struct TokenCache {
    entries: Option<Entries>,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: Arc<AtomicU64>,
}

type Entries = Cache<Box<str>, Arc<KnownToken>, Bytes, quick_cache::DefaultHashBuilder, CountEvictions>;

impl TokenCache {
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

    /// The entry of this very token, if it is `current`.
    pub(super) fn get(
        &self,
        token: &str,
        current: impl FnOnce(&KnownToken) -> bool,
    ) -> Option<Arc<KnownToken>> {
        let known = self.entries.as_ref()?.get(token).filter(|known| current(known));
        if known.is_some() { &self.hits } else { &self.misses }.fetch_add(1, Relaxed);
        known
    }

    /// Keeps a token.
    pub(super) fn insert(&self, token: &str, known: &Arc<KnownToken>) {
        if let Some(entries) = &self.entries {
            entries.insert(token.into(), Arc::clone(known));
        }
    }
}

impl Collector for TokenCache {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, count) in [
            ("tokend_verify_cache_hits", "Verified tokens that were in the verified-token cache", &self.hits),
            ("tokend_verify_cache_misses", "Tokens that were not in the verified-token cache", &self.misses),
            ("tokend_verify_cache_evictions", "Verified tokens that made room for others", &self.evictions),
        ] {
            let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count.load(Relaxed)).encode(counter)?;
        }
        let help = "Memory that the verified-token cache takes, as it is estimated";
        let bytes = encoder.encode_descriptor("tokend_verify_cache_bytes", help, None, MetricType::Gauge)?;
        ConstGauge::new(self.entries.as_ref().map_or(0, Cache::weight)).encode(bytes)
    }
}

/// Weighs an entry by its bytes.
#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Box<str>, Arc<KnownToken>> for Bytes {
    fn weight(&self, token: &Box<str>, known: &Arc<KnownToken>) -> u64 {
        // Texts of the registered claims, each with an allocation, and the cache's own share of an entry.
        const ALLOCATIONS: usize = 512;
        let EncodedClaims { token_claims, claims, claims_json } = &known.encoded;
        let encoded = token_claims.len() + claims.len() + claims_json.len();
        // The registered claims are there encoded and decoded.
        let bytes = size_of::<KnownToken>() + ALLOCATIONS + token.len() + encoded + token_claims.len();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// Counts what is evicted.
#[derive(Debug, Clone)]
struct CountEvictions(Arc<AtomicU64>);

impl Lifecycle<Box<str>, Arc<KnownToken>> for CountEvictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Box<str>, _: Arc<KnownToken>) {
        self.0.fetch_add(1, Relaxed);
    }
}

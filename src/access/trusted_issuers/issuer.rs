//! A trusted issuer, and when its keys are fetched.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use quick_cache::{Weighter, sync::Cache};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use super::{KeySource, RefreshSettings, TrustedIssuerSettings, fetch::fetch};
use crate::{
    clock::Clock,
    jose::{PublicKeySet, SetLookup},
    model::{Algorithm, UnixTime},
};

/// The time before another fetch after a failure, or for a token with an unknown key.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// The most calls that wait for a fetch of one issuer's keys. A slow issuer must not block calls that need other keys or none.
const MAX_WAITING: usize = 256;

#[derive(Debug)]
pub(in crate::access) struct TrustedIssuer {
    pub(in crate::access) settings: TrustedIssuerSettings,
    refresh: RefreshSettings,
    clock: Arc<dyn Clock>,
    keys: ArcSwapOption<IssuerKeys>,
    /// Locked during a fetch, so that one fetch serves all waiting calls.
    fetching: Arc<Mutex<()>>,
    /// The permits to wait for a fetch.
    waiting: Semaphore,
    fetches: Fetches,
}

/// The results of fetches.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    pub(super) good: AtomicU64,
    pub(super) failed: AtomicU64,
    /// The begin of the last fetch, in seconds of the monotonic clock.
    last: AtomicI64,
    /// Whether the last fetch failed, which was logged.
    failing: AtomicBool,
}

#[derive(Debug)]
pub(in crate::access) struct IssuerKeys {
    pub(in crate::access) set: PublicKeySet,
    /// The time of the fetch by the monotonic clock.
    pub(super) fetch_time: UnixTime,
    /// Tokens that one of these keys has verified, by their whole text. Workloads present the same token many times.
    verified: Cache<Box<str>, (), TokenBytes>,
}

/// The most bytes of verified tokens for each issuer.
const VERIFIED_BYTES: u64 = 2 << 20;

impl IssuerKeys {
    pub(super) fn new(set: PublicKeySet, fetch_time: UnixTime) -> Self {
        Self { set, fetch_time, verified: Cache::with_weighter(1024, VERIFIED_BYTES, TokenBytes) }
    }

    /// Whether the signature of the token is valid: from the cache, or else by `verify`. Nothing else of a token is cached.
    pub(in crate::access) fn verifies(&self, text: &str, verify: impl FnOnce() -> bool) -> bool {
        if self.verified.get(text).is_some() {
            return true;
        }
        let is_verified = verify();
        if is_verified {
            self.verified.insert(text.into(), ());
        }
        is_verified
    }
}

/// Weighs a token by its length.
#[derive(Debug, Clone)]
struct TokenBytes;

impl Weighter<Box<str>, ()> for TokenBytes {
    fn weight(&self, text: &Box<str>, (): &()) -> u64 {
        u64::try_from(text.len()).unwrap_or(u64::MAX)
    }
}

/// There are no keys, or they are too old; or too many calls wait for a fetch.
#[derive(Debug)]
pub(crate) struct KeysUnavailable;

impl TrustedIssuer {
    pub(super) fn new(
        settings: TrustedIssuerSettings,
        refresh: RefreshSettings,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            refresh,
            clock,
            keys: ArcSwapOption::empty(),
            fetching: Arc::default(),
            waiting: Semaphore::new(MAX_WAITING),
            fetches: Fetches { last: AtomicI64::new(i64::MIN), ..Fetches::default() },
        })
    }

    /// The issuer's keys. Fetches them if this key is unknown.
    pub(in crate::access) async fn keys(
        self: &Arc<Self>,
        key_id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<IssuerKeys>, KeysUnavailable> {
        if let Some(keys) = self.keys_with(key_id, algorithm) {
            return Ok(keys);
        }
        self.fetch_if_due().await?;
        self.keys_in_memory().ok_or(KeysUnavailable)
    }

    /// The keys in memory, if they contain this key.
    pub(super) fn keys_with(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<Arc<IssuerKeys>> {
        self.keys_in_memory().filter(|keys| !matches!(keys.set.find(key_id, algorithm), SetLookup::Unknown))
    }

    /// The keys in memory, unless they are too old.
    pub(super) fn keys_in_memory(&self) -> Option<Arc<IssuerKeys>> {
        let is_fresh =
            |keys: &Arc<IssuerKeys>| self.clock.steady().since(keys.fetch_time) < self.refresh.max_age;
        self.keys.load_full().filter(is_fresh)
    }

    pub(super) const fn fetches(&self) -> &Fetches {
        &self.fetches
    }

    /// Begins a fetch if one is due, and does not wait for it.
    pub(super) fn tend(self: &Arc<Self>) {
        let pause = match (&self.settings.source, self.keys.load().is_some()) {
            // A file is cheap to read.
            (KeySource::File(_), _) => self.refresh.interval.min(Duration::from_secs(10)),
            (KeySource::Uri { .. }, true) if !self.fetches.failing.load(Relaxed) => self.refresh.interval,
            (KeySource::Uri { .. }, _) => self.refresh.interval.min(COOL_DOWN),
        };
        if self.since_last() >= pause
            && let Ok(lock) = Arc::clone(&self.fetching).try_lock_owned()
        {
            self.begin(lock);
        }
    }

    /// Waits until no fetch is in flight.
    pub(super) async fn settled(&self) {
        drop(self.fetching.lock().await);
    }

    /// Waits for the fetch in flight; without one, fetches unless the last fetch was within [`COOL_DOWN`].
    pub(super) async fn fetch_if_due(self: &Arc<Self>) -> Result<(), KeysUnavailable> {
        let _permit = self.waiting.try_acquire().map_err(|_| KeysUnavailable)?;
        let before = self.finished();
        let lock = Arc::clone(&self.fetching).lock_owned().await;
        if self.finished() == before && self.since_last() >= COOL_DOWN {
            self.begin(lock);
            self.settled().await;
        }
        Ok(())
    }

    /// Fetches in a task of its own, which a disconnect of the waiting callers does not cancel.
    fn begin(self: &Arc<Self>, lock: OwnedMutexGuard<()>) {
        self.fetches.last.store(self.clock.steady().seconds(), Relaxed);
        let issuer = Arc::clone(self);
        tokio::spawn(async move {
            issuer.fetch().await;
            drop(lock);
        });
    }

    async fn fetch(&self) {
        let issuer = self.settings.issuer.as_str();
        let fetched = fetch(&self.settings.source, self.refresh.timeout).await;
        let read = fetched.and_then(|bytes| {
            PublicKeySet::lenient(&bytes, &self.settings.algorithms)
                .map_err(|problem| format!("{}: {problem}", self.settings.source))
        });
        match read {
            Ok(keys) => {
                self.fetches.good.fetch_add(1, Relaxed);
                let before = self.keys.load();
                let before = before.as_ref().map(|keys| keys.set.skipped()).unwrap_or_default();
                for key in keys.skipped().iter().filter(|key| !before.contains(key)) {
                    tracing::warn!(
                        issuer,
                        key_id = ?key.key_id,
                        problem = key.problem,
                        "a key of the trusted issuer cannot be used, and is skipped"
                    );
                }
                if self.fetches.failing.swap(false, Relaxed) || self.keys.load().is_none() {
                    tracing::info!(issuer, keys = keys.key_count(), "the trusted issuer's keys were fetched");
                }
                self.keys.store(Some(Arc::new(IssuerKeys::new(keys, self.clock.steady()))));
            }
            Err(problem) => {
                self.fetches.failed.fetch_add(1, Relaxed);
                if !self.fetches.failing.swap(true, Relaxed) {
                    let in_memory = self.keys_in_memory().is_some();
                    tracing::warn!(
                        issuer,
                        problem,
                        in_memory,
                        "the trusted issuer's keys cannot be fetched; keys in memory stay in use up to their maximum age"
                    );
                }
            }
        }
    }

    fn finished(&self) -> u64 {
        self.fetches.good.load(Relaxed).wrapping_add(self.fetches.failed.load(Relaxed))
    }

    fn since_last(&self) -> Duration {
        self.clock.steady().since(UnixTime::from_seconds(self.fetches.last.load(Relaxed)))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_valid_signature_is_verified_once_for_the_same_keys_and_an_invalid_one_each_time() {
        let key = r#"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let set = || PublicKeySet::strict(&format!(r#"{{"keys":[{key}]}}"#)).unwrap();
        let keys = IssuerKeys::new(set(), UnixTime::from_seconds(0));
        assert!(!keys.verifies("a.b.c", || false) && !keys.verifies("a.b.c", || false));
        assert!(keys.verifies("a.b.c", || true));
        assert!(keys.verifies("a.b.c", || false), "it was verified");
        assert!(!keys.verifies("a.b.d", || false), "another text");
        // A new fetch may return other keys.
        assert!(!IssuerKeys::new(set(), UnixTime::from_seconds(1)).verifies("a.b.c", || false));
    }
}

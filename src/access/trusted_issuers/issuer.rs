//! One issuer's keys, and when they are looked for.

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

/// How soon keys are looked for again: after a failure, and because a token names an unknown one, be it garbage or new.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// How many calls may wait for a fetch of one issuer's keys. The issuer may take its time to answer, and strangers may name
/// it: it must not keep calls that need other keys, or none, from being served.
const WAITING: usize = 256;

/// An issuer whose tokens are taken.
#[derive(Debug)]
pub(in crate::access) struct TrustedIssuer {
    pub(in crate::access) settings: TrustedIssuerSettings,
    refresh: RefreshSettings,
    clock: Arc<dyn Clock>,
    held: ArcSwapOption<Held>,
    /// Held while keys are fetched, so that one fetch serves all.
    fetching: Arc<Mutex<()>>,
    /// Permits of the calls that wait for that.
    waiting: Semaphore,
    fetches: Fetches,
}

/// What came of the fetches.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    pub(super) good: AtomicU64,
    pub(super) failed: AtomicU64,
    /// When the last one began, by the clock that never goes back.
    last: AtomicI64,
    /// Whether it failed, and that was logged.
    failing: AtomicBool,
}

/// Keys as they were fetched.
#[derive(Debug)]
pub(in crate::access) struct Held {
    pub(in crate::access) keys: PublicKeySet,
    /// By the clock that never goes back.
    pub(super) time: UnixTime,
    /// Tokens whose signature one of these keys has verified, by their whole text. Workloads present the same token many times.
    verified: Cache<Box<str>, (), TokenBytes>,
}

/// How many bytes the texts of verified tokens may take, for each issuer.
const VERIFIED_BYTES: u64 = 2 << 20;

impl Held {
    pub(super) fn new(keys: PublicKeySet, time: UnixTime) -> Self {
        Self { keys, time, verified: Cache::with_weighter(1024, VERIFIED_BYTES, TokenBytes) }
    }

    /// Whether the signature of the token with this text is good, which `verify` checks if none of these keys has verified it before.
    /// Nothing else about a token is remembered.
    pub(in crate::access) fn is_signed(&self, text: &str, verify: impl FnOnce() -> bool) -> bool {
        if self.verified.get(text).is_some() {
            return true;
        }
        let is_signed = verify();
        if is_signed {
            self.verified.insert(text.into(), ());
        }
        is_signed
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

/// There are no keys, or none that are young enough; or too many calls wait for them.
#[derive(Debug)]
pub(crate) struct KeysMissing;

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
            held: ArcSwapOption::empty(),
            fetching: Arc::default(),
            waiting: Semaphore::new(WAITING),
            fetches: Fetches { last: AtomicI64::new(i64::MIN), ..Fetches::default() },
        })
    }

    /// The issuer's keys, in which this one is if it can be. An unknown one is looked for, once for all who ask, and then
    /// for a while not again.
    pub(in crate::access) async fn keys(
        self: &Arc<Self>,
        key_id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<Held>, KeysMissing> {
        if let Some(held) = self.known(key_id, algorithm) {
            return Ok(held);
        }
        self.look().await?;
        self.held().ok_or(KeysMissing)
    }

    /// The keys in memory, if this one is among them.
    pub(in crate::access) fn known(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<Arc<Held>> {
        self.held().filter(|held| !matches!(held.keys.find(key_id, algorithm), SetLookup::Unknown))
    }

    /// The keys in memory, unless they are too old.
    pub(in crate::access) fn held(&self) -> Option<Arc<Held>> {
        self.held.load_full().filter(|held| self.clock.steady().since(held.time) < self.refresh.max_age)
    }

    pub(super) const fn fetches(&self) -> &Fetches {
        &self.fetches
    }

    /// Begins a fetch if one is due. Waits for nothing.
    pub(super) fn tend(self: &Arc<Self>) {
        let pause = match (&self.settings.source, self.held.load().is_some()) {
            // A file costs nothing to look at.
            (KeySource::File(_), _) => self.refresh.interval.min(Duration::from_secs(10)),
            (KeySource::Uri { .. }, true) if !self.fetches.failing.load(Relaxed) => self.refresh.interval,
            (KeySource::Uri { .. }, _) => self.refresh.interval.min(COOL_DOWN),
        };
        if self.since_last() >= pause
            && let Ok(alone) = Arc::clone(&self.fetching).try_lock_owned()
        {
            self.begin(alone);
        }
    }

    /// Resolves when no fetch is under way.
    pub(super) async fn settled(&self) {
        drop(self.fetching.lock().await);
    }

    /// Fetches, unless that was done just now; waits for a fetch that is under way.
    pub(in crate::access) async fn look(self: &Arc<Self>) -> Result<(), KeysMissing> {
        let _permit = self.waiting.try_acquire().map_err(|_| KeysMissing)?;
        let before = self.finished();
        let alone = Arc::clone(&self.fetching).lock_owned().await;
        if self.finished() == before && self.since_last() >= COOL_DOWN {
            self.begin(alone);
            self.settled().await;
        }
        Ok(())
    }

    /// Fetches in a task of its own: whoever waits for it may go away.
    fn begin(self: &Arc<Self>, alone: OwnedMutexGuard<()>) {
        self.fetches.last.store(self.clock.steady().seconds(), Relaxed);
        let issuer = Arc::clone(self);
        tokio::spawn(async move {
            issuer.fetch().await;
            drop(alone);
        });
    }

    async fn fetch(&self) {
        let issuer = self.settings.issuer.as_str();
        let fetched = fetch(&self.settings.source, self.refresh.timeout).await;
        let read = fetched.and_then(|octets| {
            PublicKeySet::lenient(&octets, &self.settings.algorithms)
                .map_err(|problem| format!("{}: {problem}", self.settings.source))
        });
        match read {
            Ok(keys) => {
                self.fetches.good.fetch_add(1, Relaxed);
                let before = self.held.load();
                let before = before.as_ref().map(|held| held.keys.skipped()).unwrap_or_default();
                for key in keys.skipped().iter().filter(|key| !before.contains(key)) {
                    tracing::warn!(
                        issuer,
                        key_id = ?key.key_id,
                        problem = key.problem,
                        "a key of the trusted issuer cannot be used, and is skipped"
                    );
                }
                if self.fetches.failing.swap(false, Relaxed) || self.held.load().is_none() {
                    tracing::info!(issuer, keys = keys.len(), "the trusted issuer's keys are there");
                }
                self.held.store(Some(Arc::new(Held::new(keys, self.clock.steady()))));
            }
            Err(problem) => {
                self.fetches.failed.fetch_add(1, Relaxed);
                if !self.fetches.failing.swap(true, Relaxed) {
                    let held = self.held().is_some();
                    tracing::warn!(
                        issuer,
                        problem,
                        held,
                        "the trusted issuer's keys cannot be had; those in memory are used on for a while"
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
    fn a_good_signature_is_checked_once_for_the_same_keys_and_a_bad_one_each_time() {
        let key = r#"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let set = || PublicKeySet::strict(&format!(r#"{{"keys":[{key}]}}"#)).unwrap();
        let held = Held::new(set(), UnixTime::from_seconds(0));
        assert!(!held.is_signed("a.b.c", || false) && !held.is_signed("a.b.c", || false));
        assert!(held.is_signed("a.b.c", || true));
        assert!(held.is_signed("a.b.c", || false), "it was verified");
        assert!(!held.is_signed("a.b.d", || false), "another text");
        // Keys that were fetched anew may be others.
        assert!(!Held::new(set(), UnixTime::from_seconds(1)).is_signed("a.b.c", || false));
    }
}

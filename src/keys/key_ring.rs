//! The key ring: a snapshot of the keys that is replaced as a whole when the keys in the store change.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, Semaphore, watch};

use super::{
    CLOCK_MARGIN, JwkSetDocument, KeyError, KeySettings, Patience, Ring, RingKey, Sealer, TrustState,
    bootstrap, checked,
    lookup::{Lookups, WAITING},
};
use crate::{
    clock::Clock,
    model::{Algorithm, KeyChange, KeyId, KeyRecord, KeySet, UnixTime},
    store::Store,
};

/// The keys in use. Reading them never blocks and never reads the store; `look_up` does.
pub struct KeyRing {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    settings: KeySettings,
    sealer: Arc<Sealer>,
    /// The algorithm of the shared secret.
    shared: Option<Algorithm>,
    snapshot: ArcSwap<Ring>,
    /// The state for verifiers, which changes with the snapshot.
    trust: watch::Sender<Arc<TrustState>>,
    /// The time at which the snapshot was last confirmed to be the state of the store, in seconds since 1970.
    confirmed: AtomicI64,
    /// Locked from reading the store to replacing the snapshot, so that an older state never replaces a newer one.
    refreshing: Mutex<()>,
    /// The look-ups in the store for keys that are not in memory.
    pub(super) lookups: watch::Sender<Lookups>,
    /// The permits of calls that wait for a look-up.
    pub(super) waiting: Semaphore,
}

/// The stored keys, each with the reason why it cannot be used, if it cannot. Changes nothing in the store.
///
/// # Errors
/// When the store or the provider of sealing keys fails.
pub async fn inspect(
    store: &Arc<Store>,
    settings: &KeySettings,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<(KeyRecord, Option<String>)>, KeyError> {
    let sealer = Sealer::new(&settings.sealing, store, clock)?;
    let stored = store.keys().await?;
    sealer.load(checked::sealed_parts(&stored), Patience::Brief).await;
    let keys = stored.keys.clone();
    let ring = Ring::open(stored, settings, &sealer, None);
    let problem = |key: &KeyRecord| ring.problems().get(&key.key_id).cloned();
    let inspected = keys.into_iter().map(|key| {
        let problem = problem(&key);
        (key, problem)
    });
    Ok(inspected.collect())
}

/// The result of a search for a key id in memory.
pub(crate) enum KeyLookup {
    /// The key with that id.
    Found(Arc<RingKey>),
    /// No key in memory has that id.
    NotInMemory,
    /// The key with that id was revoked.
    Revoked,
    /// This replica cannot use the key with that id.
    Unusable(String),
}

impl KeyRing {
    /// Loads the keys from the store, and generates the first keys.
    ///
    /// # Errors
    /// When the store fails, no stored key can be unsealed, there is no sealing key, or the shared secret does not fit. The store is
    /// then unchanged.
    pub async fn open(
        store: Arc<Store>,
        settings: KeySettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyError> {
        let now = clock.now();
        let sealer = Arc::new(Sealer::new(&settings.sealing, &store, &clock)?);
        let shared = bootstrap::ensure_keys(&store, &settings, &sealer, now).await?;
        let ring = Ring::open(store.keys().await?, &settings, &sealer, None);
        report_problems(&BTreeMap::new(), ring.problems());
        Ok(Self {
            trust: watch::Sender::new(Arc::new(TrustState::of(&ring, &settings.schedule, now))),
            snapshot: ArcSwap::from_pointee(ring),
            confirmed: AtomicI64::new(now.seconds()),
            refreshing: Mutex::new(()),
            lookups: watch::Sender::default(),
            waiting: Semaphore::new(WAITING),
            store,
            clock,
            settings,
            sealer,
            shared,
        })
    }

    /// Reads the keys from the store again.
    ///
    /// # Errors
    /// When the store fails; the keys in memory are then unchanged. A key that cannot be used is not an error: it is logged and
    /// [retried](Self::retry).
    pub async fn refresh(&self) -> Result<(), KeyError> {
        let _one_at_a_time = self.refreshing.lock().await;
        let asked = self.clock.now();
        let set = self.store.keys().await?;
        if set.sequence != self.snapshot.load().sequence() {
            let before = self.snapshot.load_full();
            let ring = Ring::open(set, &self.settings, &self.sealer, Some(&before));
            self.put(&before, ring);
        }
        self.confirm(asked);
        Ok(())
    }

    /// Retries to unseal keys that cannot be used: their sealing key may be available now. Without such keys this costs nothing.
    pub async fn retry(&self) {
        if self.snapshot.load().problems().is_empty() {
            return;
        }
        let stored = Arc::clone(&self.snapshot.load().checked().stored);
        // Without the lock: the provider of sealing keys may be slow, and a change of the keys must not wait for it.
        if self.sealer.load(checked::sealed_parts(&stored), Patience::Brief).await {
            let _one_at_a_time = self.refreshing.lock().await;
            let before = self.snapshot.load_full();
            let stored = KeySet::clone(&before.checked().stored);
            let ring = Ring::open(stored, &self.settings, &self.sealer, Some(&before));
            self.put(&before, ring);
        }
    }

    /// Replaces the snapshot `before`. The caller must hold the lock `refreshing`.
    fn put(&self, before: &Ring, ring: Ring) {
        report_problems(before.problems(), ring.problems());
        let trust = Arc::new(TrustState::of(&ring, &self.settings.schedule, self.clock.now()));
        self.snapshot.store(Arc::new(ring));
        self.trust.send_replace(trust);
    }

    /// Confirms that the snapshot was the state of the store at `asked`.
    pub fn confirm(&self, asked: UnixTime) {
        self.confirmed.fetch_max(asked.seconds(), Relaxed);
    }

    /// The time at which the snapshot was last confirmed to be the state of the store.
    pub fn as_of(&self) -> UnixTime {
        UnixTime::from_seconds(self.confirmed.load(Relaxed))
    }

    /// The key that signs with `algorithm`, by default with the default algorithm. While the first key of the default algorithm is not
    /// published for long enough, the key that signed before.
    pub(crate) fn signing_key(&self, algorithm: Option<Algorithm>) -> Option<Arc<RingKey>> {
        let ring = self.snapshot.load();
        let key = match algorithm {
            Some(algorithm) => ring.active(algorithm),
            None => {
                let default = self.settings.algorithms.first().and_then(|default| ring.active(*default));
                default.or_else(|| ring.incumbent())
            }
        };
        key.filter(|key| key.can_sign()).cloned()
    }

    /// The key with that id, from memory. If it is not there, [look it up](Self::look_up) and retry.
    pub(crate) fn verification_key(&self, key_id: &str) -> KeyLookup {
        let ring = self.snapshot.load();
        if let Some(key) = ring.get(key_id) {
            return KeyLookup::Found(Arc::clone(key));
        }
        if ring.is_revoked(key_id) {
            return KeyLookup::Revoked;
        }
        // A key whose row has a wrong MAC does not exist.
        if ring.checked().untrusted.get(key_id).is_some_and(|key| !key.unknown) {
            return KeyLookup::NotInMemory;
        }
        match ring.problems().get(key_id) {
            Some(problem) => KeyLookup::Unusable(problem.clone()),
            None => KeyLookup::NotInMemory,
        }
    }

    /// The keys for `algorithm` that were imported to verify tokens of `issuer` only; of this server if `issuer` is none.
    pub(crate) fn verifying_only(&self, issuer: Option<&str>, algorithm: Algorithm) -> Vec<Arc<RingKey>> {
        let is_wanted = |key: &&Arc<RingKey>| {
            key.verifies_only && key.algorithm == algorithm && key.issuer.as_deref() == issuer
        };
        self.snapshot.load().keys().filter(is_wanted).cloned().collect()
    }

    /// The key whose own tokens have this header segment, which then need not be parsed.
    pub(crate) fn key_of_header(&self, segment: &str) -> Option<Arc<RingKey>> {
        self.snapshot.load().by_header(segment).map(Arc::clone)
    }

    /// Whether the key is in the ring and unchanged.
    pub(crate) fn holds(&self, key: &Arc<RingKey>) -> bool {
        self.snapshot.load().get(key.key_id.as_str()).is_some_and(|current| Arc::ptr_eq(current, key))
    }

    /// The public keys to publish.
    pub fn jwk_set(&self) -> Arc<JwkSetDocument> {
        Arc::clone(self.snapshot.load().jwk_set())
    }

    /// The time for which `document` may be cached from now on.
    pub fn max_age(&self, document: &JwkSetDocument) -> Duration {
        document.max_age(self.clock.now())
    }

    /// The state for verifiers, and its changes.
    pub fn trust(&self) -> watch::Receiver<Arc<TrustState>> {
        self.trust.subscribe()
    }

    /// The stored keys in memory, without keys whose rows are not trusted.
    pub(super) fn set(&self) -> Arc<KeySet> {
        Arc::clone(self.snapshot.load().set())
    }

    /// Writes a change of the keys to the store, with a MAC for each row. Returns whether it was written.
    pub(super) async fn change(&self, change: &KeyChange) -> Result<bool, KeyError> {
        Ok(checked::change_keys(&self.store, &self.sealer, change).await?.is_some())
    }

    /// The stored key with that id, if its row is not trusted.
    pub(super) fn untrusted(&self, key_id: &KeyId) -> Option<KeyRecord> {
        self.snapshot.load().checked().untrusted.get(key_id).map(|key| key.record.clone())
    }

    /// The algorithms whose keys cannot be changed because the row of one key is not trusted.
    pub(super) fn blocked(&self) -> BTreeMap<Algorithm, KeyError> {
        let ring = self.snapshot.load();
        let blocked = |algorithm| Some((algorithm, ring.checked().blocks(algorithm)?.error()));
        Algorithm::ALL.into_iter().filter_map(blocked).collect()
    }

    /// The number of stored keys whose rows are not trusted, and of keys that are accepted without a valid MAC.
    pub fn row_counts(&self) -> (usize, usize) {
        let ring = self.snapshot.load();
        (ring.checked().untrusted.len(), ring.checked().unsigned)
    }

    /// Whether this replica can sign with the key.
    pub(super) fn can_sign(&self, key_id: &KeyId) -> bool {
        self.snapshot.load().get(key_id.as_str()).is_some_and(|key| key.can_sign())
    }

    /// The reason why this replica cannot use the key, if it cannot.
    pub(crate) fn problem(&self, key_id: &KeyId) -> Option<String> {
        self.snapshot.load().problems().get(key_id).cloned()
    }

    /// The time after which no verifier accepts a token that this issuer issued until `now`; none if that is unknown.
    pub(crate) fn tokens_end(&self, now: UnixTime) -> Option<UnixTime> {
        self.settings.schedule.all_tokens_end(&self.set(), now)
    }

    /// The same for every token that this server accepts.
    pub(crate) fn any_tokens_end(&self, now: UnixTime) -> Option<UnixTime> {
        // The lifetime of tokens of other issuers is unknown.
        let of_others = self.set().keys.iter().any(|key| key.issuer.is_some() && key.state.verifies());
        if of_others { None } else { self.tokens_end(now) }
    }

    /// The algorithm of the shared secret, which this server must not rotate.
    pub(super) const fn shared(&self) -> Option<Algorithm> {
        self.shared
    }

    /// The sealer, which seals private keys and computes the MACs of rows.
    pub(crate) const fn sealer(&self) -> &Arc<Sealer> {
        &self.sealer
    }

    pub(super) const fn settings(&self) -> &KeySettings {
        &self.settings
    }

    /// The default algorithm's signing key.
    pub fn default_key_id(&self) -> Option<KeyId> {
        self.signing_key(None).map(|key| key.key_id.clone())
    }

    /// The id of every key that is not revoked, with the reason why it cannot be used, if it cannot.
    pub fn usability(&self) -> Vec<(KeyId, Option<String>)> {
        let ring = self.snapshot.load();
        let live = ring.set().keys.iter().filter(|record| record.state.verifies());
        live.map(|record| (record.key_id.clone(), ring.problems().get(&record.key_id).cloned())).collect()
    }

    /// The time since the keys in memory were last confirmed to be the state of the store.
    pub fn view_age(&self) -> Duration {
        self.clock.now().since(self.as_of())
    }

    /// The keys that were created later than now, because the clock was wrong then. They do not rotate for a long time.
    pub fn created_ahead(&self) -> Vec<KeyId> {
        let limit = self.clock.now().after(CLOCK_MARGIN);
        let set = self.set();
        let ahead = set.keys.iter().filter(|key| key.state.verifies() && key.create_time > limit);
        ahead.map(|key| key.key_id.clone()).collect()
    }

    /// Every key's id and algorithm with its age.
    pub fn ages(&self) -> Vec<(KeyId, Algorithm, Duration)> {
        let now = self.clock.now();
        let ring = self.snapshot.load();
        ring.keys().map(|key| (key.key_id.clone(), key.algorithm, now.since(key.create_time))).collect()
    }
}

/// Logs each problem that is new, and each that is resolved.
fn report_problems(before: &BTreeMap<KeyId, String>, now: &BTreeMap<KeyId, String>) {
    for (key_id, problem) in now.iter().filter(|(key_id, _)| !before.contains_key(*key_id)) {
        tracing::error!(%key_id, problem, "a stored key cannot be used");
    }
    for key_id in before.keys().filter(|key_id| !now.contains_key(*key_id)) {
        tracing::info!(%key_id, "a stored key that could not be used can be used again, or was deleted");
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("settings", &self.settings).finish_non_exhaustive()
    }
}

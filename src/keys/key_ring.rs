//! The ring that everybody shares: a snapshot that is swapped whole, and how it follows the store.

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
    JwkSetDocument, KeyError, KeySettings, Patience, Ring, RingKey, Sealer, TrustState, bootstrap, checked,
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
    /// The algorithm whose secret others share.
    shared: Option<Algorithm>,
    snapshot: ArcSwap<Ring>,
    /// What verifiers are told; changes with the snapshot.
    trust: watch::Sender<Arc<TrustState>>,
    /// When the snapshot was last known to be the store's state, in seconds since 1970.
    confirmed: AtomicI64,
    /// Held from reading to swapping, so that what was read first is never put over what was read later.
    refreshing: Mutex<()>,
    /// The look-ups in the store for keys that are not in memory.
    pub(super) lookups: watch::Sender<Lookups>,
    /// Permits of the calls that wait for one.
    pub(super) waiting: Semaphore,
}

/// What the keys in memory say about a key id.
pub(crate) enum KeyLookup {
    /// The key of that id.
    Found(Arc<RingKey>),
    /// No key in memory has that id.
    NotInMemory,
    /// The key of that id was revoked.
    Revoked,
    /// This replica cannot use the key of that id.
    Unusable(String),
}

impl KeyRing {
    /// Loads the keys from the store, and makes the first ones.
    ///
    /// # Errors
    /// When the store fails, there are keys and none of them opens, there is no sealing key, or the shared secret does not
    /// fit. The store is then as it was.
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
    /// When the store fails; the keys in memory stay as they were. A key that cannot be used is no error, but a problem of
    /// its own that is logged, and [tried again](Self::retry).
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

    /// Tries again to use keys that could not be used as they should: a sealing key that could not be had may be there now.
    /// With no such key it costs nothing.
    pub async fn retry(&self) {
        if self.snapshot.load().problems().is_empty() {
            return;
        }
        let stored = Arc::clone(&self.snapshot.load().checked().stored);
        // Not with the lock: whoever gives out sealing keys may take its time, and a change must not wait for it.
        if self.sealer.load(checked::sealed_parts(&stored), Patience::Brief).await {
            let _one_at_a_time = self.refreshing.lock().await;
            let before = self.snapshot.load_full();
            let stored = KeySet::clone(&before.checked().stored);
            let ring = Ring::open(stored, &self.settings, &self.sealer, Some(&before));
            self.put(&before, ring);
        }
    }

    /// Puts another snapshot in the place of `before`. Only ever called with `refreshing` held.
    fn put(&self, before: &Ring, ring: Ring) {
        report_problems(before.problems(), ring.problems());
        let trust = Arc::new(TrustState::of(&ring, &self.settings.schedule, self.clock.now()));
        self.snapshot.store(Arc::new(ring));
        self.trust.send_replace(trust);
    }

    /// The snapshot was known to be the store's state at `asked`, when the store was asked whether it had changed.
    pub fn confirm(&self, asked: UnixTime) {
        self.confirmed.fetch_max(asked.seconds(), Relaxed);
    }

    /// When the snapshot was last known to be the store's state.
    pub fn as_of(&self) -> UnixTime {
        UnixTime::from_seconds(self.confirmed.load(Relaxed))
    }

    /// The key that signs with `algorithm`. By default it is the default algorithm's; as long as that has none, because its
    /// first key is not published for long enough, the key that signed before.
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

    /// The key of that id, from memory. For one that is not there, [look it up](Self::look_up) and call this again.
    pub(crate) fn verification_key(&self, key_id: &str) -> KeyLookup {
        let ring = self.snapshot.load();
        if let Some(key) = ring.get(key_id) {
            return KeyLookup::Found(Arc::clone(key));
        }
        if ring.is_revoked(key_id) {
            return KeyLookup::Revoked;
        }
        // A key whose row is known to be forged is no key.
        if ring.checked().untrusted.get(key_id).is_some_and(|key| !key.unknown) {
            return KeyLookup::NotInMemory;
        }
        match ring.problems().get(key_id) {
            Some(problem) => KeyLookup::Unusable(problem.clone()),
            None => KeyLookup::NotInMemory,
        }
    }

    /// The keys for `algorithm` that were imported to verify tokens of this issuer only; none: this server's own.
    pub(crate) fn verifying_only(&self, issuer: Option<&str>, algorithm: Algorithm) -> Vec<Arc<RingKey>> {
        let is_wanted = |key: &&Arc<RingKey>| {
            key.verifies_only && key.algorithm == algorithm && key.issuer.as_deref() == issuer
        };
        self.snapshot.load().keys().filter(is_wanted).cloned().collect()
    }

    /// The key whose tokens have this header segment: there is no need to read it.
    pub(crate) fn key_of_header(&self, segment: &str) -> Option<Arc<RingKey>> {
        self.snapshot.load().by_header(segment).map(Arc::clone)
    }

    /// Whether the key is in the ring, unchanged since it was taken from there.
    pub(crate) fn holds(&self, key: &Arc<RingKey>) -> bool {
        self.snapshot.load().get(key.key_id.as_str()).is_some_and(|current| Arc::ptr_eq(current, key))
    }

    /// The public keys, as they are to be published now.
    pub fn jwk_set(&self) -> Arc<JwkSetDocument> {
        Arc::clone(self.snapshot.load().jwk_set())
    }

    /// How long `document` may be kept from now on.
    pub fn max_age(&self, document: &JwkSetDocument) -> Duration {
        document.max_age(self.clock.now())
    }

    /// What verifiers are told, now and whenever it changes.
    pub fn trust(&self) -> watch::Receiver<Arc<TrustState>> {
        self.trust.subscribe()
    }

    /// The stored keys that are in memory, without those that are not trusted.
    pub(super) fn set(&self) -> Arc<KeySet> {
        Arc::clone(self.snapshot.load().set())
    }

    /// Makes a change to the keys in the store, and signs its rows. Answers whether it was made.
    pub(super) async fn change(&self, change: &KeyChange) -> Result<bool, KeyError> {
        Ok(checked::change_keys(&self.store, &self.sealer, change).await?.is_some())
    }

    /// The stored key of that id, if it is not trusted.
    pub(super) fn untrusted(&self, key_id: &KeyId) -> Option<KeyRecord> {
        self.snapshot.load().checked().untrusted.get(key_id).map(|key| key.record.clone())
    }

    /// The algorithms whose keys cannot be changed because one of them is not trusted, each with the problem.
    pub(super) fn blocked(&self) -> BTreeMap<Algorithm, KeyError> {
        let ring = self.snapshot.load();
        let blocked = |algorithm| Some((algorithm, ring.checked().blocks(algorithm)?.error()));
        Algorithm::ALL.into_iter().filter_map(blocked).collect()
    }

    /// How many stored keys are not trusted, and how many are accepted without a valid MAC.
    pub fn row_counts(&self) -> (usize, usize) {
        let ring = self.snapshot.load();
        (ring.checked().untrusted.len(), ring.checked().unsigned)
    }

    /// Whether this replica can sign with the key, when it may.
    pub(super) fn can_sign(&self, key_id: &KeyId) -> bool {
        self.snapshot.load().get(key_id.as_str()).is_some_and(|key| key.can_sign())
    }

    /// Why this replica cannot use the key as it should.
    pub(crate) fn problem(&self, key_id: &KeyId) -> Option<String> {
        self.snapshot.load().problems().get(key_id).cloned()
    }

    /// When nobody accepts any more what this issuer had issued by `now`; none: nobody knows.
    pub(crate) fn tokens_end(&self, now: UnixTime) -> Option<UnixTime> {
        self.settings.schedule.all_tokens_end(&self.set(), now)
    }

    /// The same of whatever is verified here.
    pub(crate) fn any_tokens_end(&self, now: UnixTime) -> Option<UnixTime> {
        // How long tokens of other issuers live, nobody here decides.
        let of_others = self.set().keys.iter().any(|key| key.issuer.is_some() && key.state.verifies());
        if of_others { None } else { self.tokens_end(now) }
    }

    /// The algorithm whose secret others share, which is not this server's to change.
    pub(super) const fn shared(&self) -> Option<Algorithm> {
        self.shared
    }

    /// What seals and opens private keys, and signs and checks rows.
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

    /// Every key's id that is not revoked, with what is wrong with it.
    pub fn usability(&self) -> Vec<(KeyId, Option<String>)> {
        let ring = self.snapshot.load();
        let live = ring.set().keys.iter().filter(|record| record.state.verifies());
        live.map(|record| (record.key_id.clone(), ring.problems().get(&record.key_id).cloned())).collect()
    }

    /// How long ago the keys in memory were last known to be the store's.
    pub fn view_age(&self) -> Duration {
        self.clock.now().since(self.as_of())
    }

    /// Every key's id and algorithm with its age.
    pub fn ages(&self) -> Vec<(KeyId, Algorithm, Duration)> {
        let now = self.clock.now();
        let ring = self.snapshot.load();
        ring.keys().map(|key| (key.key_id.clone(), key.algorithm, now.since(key.create_time))).collect()
    }
}

/// One line for each problem that is new, and for each that is gone.
fn report_problems(before: &BTreeMap<KeyId, String>, now: &BTreeMap<KeyId, String>) {
    for (key_id, problem) in now.iter().filter(|(key_id, _)| !before.contains_key(*key_id)) {
        tracing::error!(%key_id, problem, "a stored key cannot be used as it should; the others are");
    }
    for key_id in before.keys().filter(|key_id| !now.contains_key(*key_id)) {
        tracing::info!(%key_id, "a stored key that could not be used is no longer a problem");
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("settings", &self.settings).finish_non_exhaustive()
    }
}

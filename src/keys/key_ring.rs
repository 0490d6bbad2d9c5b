//! The ring that everybody shares: a snapshot that is swapped whole, and how it follows the store.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::{JwkSetDocument, KeyError, KeySettings, Ring, RingKey, bootstrap};
use crate::{
    clock::Clock,
    model::{Algorithm, KeyId, UnixTime},
    store::Store,
};

/// The keys in use. Reading never blocks and never asks the store, but for an unknown key id.
pub struct KeyRing {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    settings: KeySettings,
    snapshot: ArcSwap<Ring>,
    /// Held from reading to swapping, so that what was read first is never put over what was read later.
    refreshing: Mutex<()>,
    /// The last look into the store for an unknown key id. Held while looking, so that one looks for all.
    last_look: Mutex<Option<Look>>,
}

/// A look into the store for an unknown key id.
struct Look {
    at: UnixTime,
    failure: Option<String>,
}

/// What came of looking for a key.
pub(crate) enum KeyLookup {
    /// The key of that id.
    Found(Arc<RingKey>),
    /// No key of ours has that id.
    Unknown,
    /// It is not in memory, and the store could not be asked.
    Unavailable(String),
}

impl KeyRing {
    /// Loads the keys from the store, and makes those that are missing.
    ///
    /// # Errors
    /// When the store fails, a stored key does not open under the sealing key, or the shared secret does not fit. A key
    /// that does not open leaves the store as it was.
    pub async fn open(
        store: Arc<dyn Store>,
        settings: KeySettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyError> {
        bootstrap::ensure_keys(&*store, &settings, clock.now()).await?;
        let ring = Ring::open(&store.keys().await?, &settings)?;
        let snapshot = ArcSwap::from_pointee(ring);
        let (refreshing, last_look) = (Mutex::new(()), Mutex::new(None));
        Ok(Self { store, clock, settings, snapshot, refreshing, last_look })
    }

    /// Reads the keys from the store again.
    ///
    /// # Errors
    /// When the store fails or a key cannot be used; the keys in memory stay as they were.
    pub async fn refresh(&self) -> Result<(), KeyError> {
        let _one_at_a_time = self.refreshing.lock().await;
        let records = self.store.keys().await?;
        self.snapshot.store(Arc::new(Ring::open(&records, &self.settings)?));
        Ok(())
    }

    /// The key that signs with `algorithm`, or with the default one.
    pub(crate) fn signing_key(&self, algorithm: Option<Algorithm>) -> Option<Arc<RingKey>> {
        let algorithm = algorithm.or_else(|| self.settings.algorithms.first().copied())?;
        self.snapshot.load().active(algorithm).cloned()
    }

    /// The key of that id. An unknown id costs one look into the store at most, however many ask at once; then, for
    /// [`KeySettings::unknown_key_pause`], unknown ids cost nothing. The pause is one for all ids, so that inventing ids
    /// fills no memory. A key that was made meanwhile arrives with the periodic refresh.
    pub(crate) async fn verification_key(&self, key_id: &str) -> KeyLookup {
        if let Some(key) = self.snapshot.load().get(key_id) {
            return KeyLookup::Found(Arc::clone(key));
        }
        let mut last_look = self.last_look.lock().await;
        let pause = |look: &Look| self.clock.now().since(look.at) < self.settings.unknown_key_pause;
        if !last_look.as_ref().is_some_and(pause) {
            let failure = self.refresh().await.err().map(|error| error.to_string());
            *last_look = Some(Look { at: self.clock.now(), failure });
        }
        // Whoever waited here finds what the first one brought.
        match self.snapshot.load().get(key_id) {
            Some(key) => KeyLookup::Found(Arc::clone(key)),
            None => match last_look.as_ref().and_then(|look| look.failure.clone()) {
                Some(failure) => KeyLookup::Unavailable(failure),
                None => KeyLookup::Unknown,
            },
        }
    }

    /// The public keys, as they are to be published now.
    pub fn jwk_set(&self) -> Arc<JwkSetDocument> {
        Arc::clone(self.snapshot.load().jwk_set())
    }

    /// The default algorithm's signing key.
    pub fn default_key_id(&self) -> Option<KeyId> {
        self.signing_key(None).map(|key| key.key_id.clone())
    }

    /// Every key's id and algorithm with its age.
    pub fn ages(&self) -> Vec<(KeyId, Algorithm, Duration)> {
        let now = self.clock.now();
        let ring = self.snapshot.load();
        ring.keys().map(|key| (key.key_id.clone(), key.algorithm, now.since(key.create_time))).collect()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("settings", &self.settings).finish_non_exhaustive()
    }
}

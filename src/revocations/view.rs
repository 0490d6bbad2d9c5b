//! The view of the revocations.

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

use super::{Kind, RevocationSettings, overlay::Overlay, purge::Purge, set::Set};
use crate::{
    clock::Clock,
    model::{ChangeSequence, Revocation, RevocationPage, RevocationRecord, TokenClaims, UnixTime},
    store::{ClockGuard, Store, StoreError},
};

/// How many revocations are read at once.
const PAGE: u32 = 16_384;

/// The view is older than the bound.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the revocations have not been read for too long")]
pub struct Stale;

/// What is revoked, as far as this replica knows. Asking never waits, neither for the store nor for what is read from it.
pub struct Revocations {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    guard: Arc<ClockGuard>,
    settings: RevocationSettings,
    set: ArcSwap<Set>,
    overlay: Overlay,
    purge: Purge,
    /// Every revocation up to this change is in the set.
    held: watch::Sender<ChangeSequence>,
    /// Everything up to this change is in memory, keys and clients too.
    complete: watch::Sender<ChangeSequence>,
    /// When the set was last known to be the store's state: in seconds since 1970, and in milliseconds of the clock that never
    /// goes back.
    confirmed: AtomicI64,
    confirmed_monotonic: AtomicU64,
    /// Held from reading to putting in, so that the order is kept.
    following: Mutex<()>,
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
        guard: Arc<ClockGuard>,
    ) -> Result<Self, StoreError> {
        let view = Self {
            set: ArcSwap::from_pointee(Set::new()),
            overlay: Overlay::new(),
            purge: Purge::new(Arc::clone(&store), Arc::clone(&guard)),
            held: watch::Sender::new(ChangeSequence(0)),
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

    /// Reads what is new in the store. Answers up to which change every revocation is in memory now.
    ///
    /// # Errors
    /// When the store fails; what is in memory stays in force.
    pub async fn catch_up(&self) -> Result<ChangeSequence, StoreError> {
        let _in_order = self.following.lock().await;
        self.follow().await
    }

    /// The same, unless everything up to `sequence` was read already.
    async fn catch_up_to(&self, sequence: ChangeSequence) -> Result<(), StoreError> {
        let _in_order = self.following.lock().await;
        if *self.held.borrow() < sequence {
            self.follow().await?;
        }
        Ok(())
    }

    /// Whether the token with these claims is revoked. `own`: it is of this issuer, whose sessions, subjects and clients those in
    /// the revocations are.
    ///
    /// # Errors
    /// When the view is too old to say that it is not, and the settings do not say to go on.
    pub fn refuse(&self, claims: &TokenClaims, own: bool, now: UnixTime) -> Result<bool, Stale> {
        if self.set.load().refuses(claims, own, now) || self.overlay.refuses(claims, own, now) {
            return Ok(true);
        }
        if self.is_stale_at(now) { Err(Stale) } else { Ok(false) }
    }

    /// Whether the view is too old to say that a token is not revoked, and the settings do not say to go on.
    pub fn is_stale(&self) -> bool {
        self.is_stale_at(self.clock.now())
    }

    fn is_stale_at(&self, now: UnixTime) -> bool {
        !self.settings.serve_stale && self.age_at(now) > self.settings.staleness_bound
    }

    /// Makes a revocation durable, and puts it in force here.
    ///
    /// # Errors
    /// When the store fails; nobody then knows whether it was made.
    pub(crate) async fn make(&self, revocation: &Revocation) -> Result<RevocationRecord, StoreError> {
        let record = self.store.revoke(revocation).await?;
        if let Err(error) = self.catch_up_to(record.sequence).await {
            tracing::warn!(%error, "a revocation that was made could not be read back; it is in force");
            self.overlay.put(record.clone(), self.forget_time());
        }
        Ok(record)
    }

    /// Lets go of what nobody has to remember any more: some of it each time.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        self.purge.memory(&self.set.load());
        self.purge.rows().await
    }

    /// Everything up to this change is in memory: keys and clients too.
    pub fn publish(&self, complete: ChangeSequence) {
        self.complete.send_if_modified(|published| std::mem::replace(published, complete) != complete);
    }

    /// Up to which change every revocation is in memory, now and whenever that changes.
    pub fn held(&self) -> watch::Receiver<ChangeSequence> {
        self.held.subscribe()
    }

    /// Up to which change everything is in memory, now and whenever that changes.
    pub fn complete(&self) -> watch::Receiver<ChangeSequence> {
        self.complete.subscribe()
    }

    /// Some of the revocations after a change and up to another that are in force, in order, and up to where these are all.
    pub(crate) fn page(&self, after: ChangeSequence, up_to: ChangeSequence) -> RevocationPage {
        self.set.load().page(after, up_to, self.clock.now())
    }

    /// When the view was last known to be the store's state.
    pub fn as_of(&self) -> UnixTime {
        UnixTime::from_seconds(self.confirmed.load(Relaxed))
    }

    /// How long ago the view was last known to be the store's state.
    pub fn age(&self) -> Duration {
        self.age_at(self.clock.now())
    }

    fn age_at(&self, now: UnixTime) -> Duration {
        let confirmed = Duration::from_millis(self.confirmed_monotonic.load(Relaxed));
        // A machine that slept, and one whose clock was put back: the other clock tells.
        now.since(self.as_of()).max(self.clock.monotonic().saturating_sub(confirmed))
    }

    /// How many revocations are in force, by kind.
    pub fn live(&self) -> [(Kind, usize); Kind::ALL.len()] {
        self.set.load().live()
    }

    /// What they take in memory.
    pub fn bytes(&self) -> usize {
        self.set.load().bytes()
    }

    /// As of when what has expired may be left out of memory: a wrong clock must not lose what is in force.
    fn forget_time(&self) -> UnixTime {
        self.guard.forget_time().unwrap_or(UnixTime::from_seconds(0))
    }

    /// Reads what is new. Only ever called with `following` held.
    async fn follow(&self) -> Result<ChangeSequence, StoreError> {
        // Before anything is read.
        let (asked, monotonic) = (self.clock.now(), self.clock.monotonic());
        let before = *self.held.borrow();
        let held = match self.read(before).await? {
            Some(held) => held,
            None => self.read_again(before).await?,
        };
        self.held.send_if_modified(|before| std::mem::replace(before, held) != held);
        self.overlay.read_back(held);
        self.confirmed.fetch_max(asked.seconds(), Relaxed);
        let monotonic = u64::try_from(monotonic.as_millis()).unwrap_or_default();
        self.confirmed_monotonic.fetch_max(monotonic, Relaxed);
        Ok(held)
    }

    /// Reads what came after a change. None if the store has not come as far as that.
    async fn read(&self, after: ChangeSequence) -> Result<Option<ChangeSequence>, StoreError> {
        let set = self.set.load_full();
        let mut pages = Pages::after(&*self.store, after);
        while let Some(page) = pages.next().await? {
            if page.complete < after {
                return Ok(None);
            }
            let now = self.forget_time();
            for record in page.records.into_iter().filter(|record| !record.revocation.has_expired(now)) {
                set.put(record, now);
            }
        }
        Ok(Some(pages.complete))
    }

    /// The store has gone back behind what was read from it: a backup was restored. Reads all of it; what was revoked here stays so.
    async fn read_again(&self, before: ChangeSequence) -> Result<ChangeSequence, StoreError> {
        let old = self.set.load_full();
        let set = Set::new();
        let mut pages = Pages::after(&*self.store, ChangeSequence(0));
        while let Some(page) = pages.next().await? {
            let now = self.forget_time();
            for mut record in page.records {
                if let Some(held) = old.get(&record.revocation.target) {
                    record.revocation = record.revocation.widened_by(&held.revocation);
                }
                set.put(record, now);
            }
        }
        let mut after = ChangeSequence(0);
        while after < before {
            let now = self.forget_time();
            let page = old.page(after, before, now);
            for record in page.records {
                if set.get(&record.revocation.target).is_none() {
                    // It is told to verifiers as if it were the last one.
                    set.put(RevocationRecord { sequence: pages.complete, ..record }, now);
                }
            }
            after = page.complete;
            tokio::task::yield_now().await;
        }
        self.set.store(Arc::new(set));
        tracing::error!(
            held = before.0,
            found = pages.complete.0,
            "the store has fewer changes than before: it seems to have been restored from a backup. What this replica knew to be \
             revoked stays so as long as it runs, but what was revoked after the backup was made is lost from the store: see to it \
             with `tokend revoke everything-before`"
        );
        Ok(pages.complete)
    }
}

/// The revocations in the store, page by page.
struct Pages<'a> {
    store: &'a dyn Store,
    /// What has been read.
    complete: ChangeSequence,
    done: bool,
}

impl<'a> Pages<'a> {
    const fn after(store: &'a dyn Store, after: ChangeSequence) -> Self {
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

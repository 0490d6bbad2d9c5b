//! Following the store: what other replicas changed is in memory here as soon as the store tells of it, and within the
//! refresh interval at the latest. On the same rounds the keys are kept as planned, and it is told what is held here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::Mutex,
    time::{Interval, MissedTickBehavior},
};

use super::StartError;
use crate::{
    access::{Directory, TrustedIssuers, UsedAssertions},
    admission::Admission,
    audit::AuditLog,
    clock::Clock,
    grpc::Health,
    http::{NotReady, Readiness},
    keys::{KeyManager, KeyRing},
    model::ChangeSequence,
    revocations::Revocations,
    store::{ClockGuard, Store},
};

/// Follows the store's changes.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) store: Arc<Store>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) directory: Arc<Directory>,
    pub(super) admission: Arc<Admission>,
    pub(super) used_assertions: Arc<UsedAssertions>,
    pub(super) issuers: Arc<TrustedIssuers>,
    pub(super) key_manager: Arc<KeyManager>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) audit: Arc<AuditLog>,
    pub(super) readiness: Readiness,
    pub(super) health: Health,
    /// Whether a store that accepts no writes is one to be ready with.
    pub(super) admits_read_only: bool,
    /// Whether the store accepted writes when it was last asked.
    pub(super) accepts_writes: AtomicBool,
    pub(super) guard: Arc<ClockGuard>,
    /// What was followed of the keys and clients. Held through a round, so that rounds do not overlap.
    pub(super) seen: Mutex<Option<ChangeSequence>>,
}

impl Follower {
    /// Resolves when nothing that a round began is under way any more.
    pub(super) async fn settled(&self) {
        self.issuers.settled().await;
    }

    /// One round. What fails of it keeps nothing else from being done that can be.
    pub(super) async fn round(&self) -> Result<(), StartError> {
        let revocations = self.revocations.catch_up().await;
        let others = self.other_round().await;
        self.look_at_readiness();
        self.health.report(|| self.readiness.is_ready()).await;
        revocations?;
        others
    }

    /// Finds out what keeps this replica from doing its job. Asks nothing but memory.
    fn look_at_readiness(&self) {
        self.readiness.set(NotReady::StateStale, self.revocations.is_stale());
        self.readiness.set(NotReady::AuditUnavailable, self.audit.is_blocked());
    }

    /// A round but for the revocations.
    async fn other_round(&self) -> Result<(), StartError> {
        // They need no store.
        self.issuers.tend();
        let clocks = self.guard.observe().await;
        self.directory.follow_files().await;
        self.follow().await?;
        let asked = self.ask_for_writes().await;
        self.tend().await?;
        asked?;
        Ok(clocks?)
    }

    /// Finds out whether the store accepts writes.
    async fn ask_for_writes(&self) -> Result<(), StartError> {
        let problem = self.store.write_problem().await?;
        self.accepts_writes.store(problem.is_none(), Relaxed);
        let not_ready = problem.is_some() && !self.admits_read_only;
        let changed = self.readiness.set(NotReady::StoreReadOnly, not_ready);
        if let Some(problem) = problem.filter(|_| changed) {
            tracing::error!(problem, "the store accepts no writes");
        }
        Ok(())
    }

    /// Brings keys and clients in memory to the store's state. Answers whether they have changed.
    async fn follow(&self) -> Result<bool, StartError> {
        let mut seen = self.seen.lock().await;
        // Every revocation up to this change is in memory, and what follows reads every other change up to it.
        let held = *self.revocations.loaded().borrow();
        let asked = self.clock.now();
        // Read before the rows: a change in between is then seen twice rather than never.
        let sequence = self.store.change_sequence().await?;
        let changed = *seen != Some(sequence);
        if changed {
            self.ring.refresh().await?;
            self.directory.refresh().await?;
            self.admission.forget_others(|client_id| self.directory.has(client_id));
            *seen = Some(sequence);
        }
        self.ring.confirm(asked);
        self.revocations.publish(held);
        Ok(changed)
    }

    /// Does what is due.
    async fn tend(&self) -> Result<(), StartError> {
        self.ring.retry().await;
        let clients = self.directory.retry().await;
        if !self.accepts_writes.load(Relaxed) {
            // All of what follows would fail.
            return Ok(clients?);
        }
        // One step that fails keeps none of the others from being taken.
        let kept = self.key_manager.reconcile().await;
        let reported = self.key_manager.report().await;
        let swept = match self.guard.deletion_time() {
            Some(now) => self.used_assertions.tidy(now).await,
            None => Ok(()),
        };
        self.revocations.clean_up().await?;
        swept?;
        clients?;
        kept?;
        Ok(reported?)
    }

    /// Follows the store whenever it tells of a change and every `interval`, for ever, and then does what is due. The revocations
    /// are followed for themselves, so that nothing else that is done holds them up.
    pub(super) async fn run(self: Arc<Self>, interval: Duration, failing: bool) {
        tokio::join!(
            self.follow_revocations(interval, Failures { of: "revocations", failing }),
            self.follow_others(interval, Failures { of: "keys and clients", failing }),
            self.follow_readiness(interval),
        );
    }

    /// Apart from what asks the store: a store that hangs must not keep health from saying so.
    async fn follow_readiness(&self, interval: Duration) {
        let mut changes = self.readiness.changes();
        let mut ticks = ticks(interval);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.look_at_readiness(),
                Ok(_) = changes.changed() => self.health.report(|| self.readiness.is_ready()).await,
            }
        }
    }

    async fn follow_revocations(&self, interval: Duration, mut failures: Failures) {
        let mut changes = self.store.changes();
        let mut ticks = ticks(interval);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = changes.changed() => {}
            }
            failures.note(self.revocations.catch_up().await.map(|_| ()).map_err(StartError::from));
        }
    }

    async fn follow_others(&self, interval: Duration, mut failures: Failures) {
        let mut changes = self.store.changes();
        let mut held = self.revocations.loaded();
        let mut ticks = ticks(interval);
        loop {
            tokio::select! {
                _ = ticks.tick() => failures.note(self.other_round().await),
                Ok(()) = changes.changed() => failures.note(self.follow_and_tend().await),
                // More of what is in memory is then known to be all.
                Ok(()) = held.changed() => failures.note(self.follow_and_tend().await),
            }
        }
    }

    /// Most changes are revocations, after which nothing else is due.
    async fn follow_and_tend(&self) -> Result<(), StartError> {
        if self.follow().await? { self.tend().await } else { Ok(()) }
    }
}

/// What is followed, and whether that fails. Of failures, the first and the recovery are logged.
struct Failures {
    of: &'static str,
    failing: bool,
}

impl Failures {
    fn note(&mut self, outcome: Result<(), StartError>) {
        match outcome {
            Ok(()) if self.failing => tracing::info!(of = self.of, "the store can be read again"),
            Ok(()) => {}
            Err(error) if !self.failing => {
                tracing::warn!(of = self.of, %error, "the store cannot be followed; serving from memory");
                self.failing = true;
                return;
            }
            Err(_) => return,
        }
        self.failing = false;
    }
}

fn ticks(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

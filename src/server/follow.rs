//! Follows the store: loads what other replicas changed, as soon as the store notifies of it and every `refresh_interval` at the
//! latest. The same rounds execute due key operations and report this replica to the others.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::Mutex,
    time::{Interval, MissedTickBehavior},
};

use super::{StartError, state::State};
use crate::{
    admission::Admission,
    audit::AuditLog,
    grpc::Health,
    http::{NotReady, Readiness},
    model::{ChangeSequence, KeyId},
};

/// Keeps the state up to date with the store.
#[derive(Debug)]
pub(super) struct Follower {
    state: State,
    admission: Arc<Admission>,
    audit: Arc<AuditLog>,
    readiness: Readiness,
    health: Health,
    /// Whether a read-only store leaves this replica ready.
    admits_read_only: bool,
    /// Whether the store accepted writes in the last round.
    accepts_writes: AtomicBool,
    /// The change up to which keys and clients were loaded. Locked through a round, so that rounds do not overlap.
    loaded: Mutex<Option<ChangeSequence>>,
    /// The keys that were created later than now, as logged last.
    ahead: std::sync::Mutex<Vec<KeyId>>,
}

impl Follower {
    pub(super) fn new(
        state: State,
        admission: Arc<Admission>,
        audit: Arc<AuditLog>,
        readiness: Readiness,
        health: Health,
        admits_read_only: bool,
    ) -> Self {
        let (accepts_writes, loaded) = (true.into(), Mutex::default());
        let ahead = std::sync::Mutex::default();
        Self { state, admission, audit, readiness, health, admits_read_only, accepts_writes, loaded, ahead }
    }

    /// Waits for the fetches of trusted issuers' keys that a round has begun.
    pub(super) async fn wait_for_fetches(&self) {
        self.state.issuers.settled().await;
    }

    /// Runs one round. A step that fails does not prevent the others.
    pub(super) async fn round(&self) -> Result<(), StartError> {
        let revocations = self.state.revocations.catch_up().await;
        let others = self.follow_and_tend_all().await;
        self.update_readiness();
        self.health.report(|| self.readiness.is_ready()).await;
        revocations?;
        others
    }

    /// Updates the causes that are known from memory.
    fn update_readiness(&self) {
        self.readiness.set(NotReady::StateStale, self.state.revocations.is_stale());
        self.readiness.set(NotReady::AuditUnavailable, self.audit.is_blocked());
    }

    /// Runs a round without the revocations.
    async fn follow_and_tend_all(&self) -> Result<(), StartError> {
        // Needs no store.
        self.state.issuers.tend();
        let clocks = self.state.guard.observe().await;
        self.state.directory.follow_files().await;
        self.follow().await?;
        self.check_key_times();
        let checked = self.check_writes().await;
        self.tend().await?;
        checked?;
        Ok(clocks?)
    }

    /// Warns of keys that were created later than now, when they are found or change.
    fn check_key_times(&self) {
        let found = self.state.ring.created_ahead();
        let mut logged = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        for key_id in found.iter().filter(|key_id| !logged.contains(key_id)) {
            tracing::warn!(
                %key_id,
                "a key was created in the future: the clock was or is wrong. Correct the clock; if it is right now, run `tokend key \
                 accept-clock`, and replace the key (docs/rotation.md, The clock)"
            );
        }
        *logged = found;
    }

    /// Checks whether the store accepts writes.
    async fn check_writes(&self) -> Result<(), StartError> {
        let problem = self.state.store.write_problem().await?;
        self.accepts_writes.store(problem.is_none(), Relaxed);
        let not_ready = problem.is_some() && !self.admits_read_only;
        let changed = self.readiness.set(NotReady::StoreReadOnly, not_ready);
        if let Some(problem) = problem.filter(|_| changed) {
            tracing::error!(problem, "the store accepts no writes");
        }
        Ok(())
    }

    /// Loads keys and clients if they have changed, and returns whether they have.
    async fn follow(&self) -> Result<bool, StartError> {
        let mut loaded = self.loaded.lock().await;
        // All revocations up to this change are in memory; the steps below load all other changes up to it.
        let held = *self.state.revocations.loaded().borrow();
        let start = self.state.clock.now();
        // Read before the rows: a change in between is loaded twice rather than never.
        let sequence = self.state.store.change_sequence().await?;
        let changed = *loaded != Some(sequence);
        if changed {
            self.state.ring.refresh().await?;
            self.state.directory.refresh().await?;
            self.admission.forget_others(|client_id| self.state.directory.has(client_id));
            *loaded = Some(sequence);
        }
        self.state.ring.confirm(start);
        self.state.revocations.publish(held);
        Ok(changed)
    }

    /// Executes what is due.
    async fn tend(&self) -> Result<(), StartError> {
        self.state.ring.retry().await;
        let clients = self.state.directory.retry().await;
        if !self.accepts_writes.load(Relaxed) {
            // The steps below would fail.
            return Ok(clients?);
        }
        // Every step runs, whether or not an earlier one fails.
        let kept = self.state.key_manager.reconcile().await;
        let reported = self.state.key_manager.report().await;
        let swept = match self.state.guard.deletion_time() {
            Some(now) => self.state.used_assertions.tidy(now).await,
            None => Ok(()),
        };
        self.state.revocations.clean_up().await?;
        swept?;
        clients?;
        kept?;
        Ok(reported?)
    }

    /// Follows the store at each change and every `interval`, for ever, and executes what is due. The revocations have a loop of their
    /// own, so that no other step delays them.
    pub(super) async fn run(self: Arc<Self>, interval: Duration, failing: bool) {
        tokio::join!(
            self.follow_revocations(interval, Failures { of: "revocations", failing }),
            self.follow_others(interval, Failures { of: "keys and clients", failing }),
            self.follow_readiness(interval),
        );
    }

    /// A loop of its own: a store that hangs must not keep health from reporting it.
    async fn follow_readiness(&self, interval: Duration) {
        let mut changes = self.readiness.changes();
        let mut ticks = ticks(interval);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.update_readiness(),
                Ok(_) = changes.changed() => self.health.report(|| self.readiness.is_ready()).await,
            }
        }
    }

    async fn follow_revocations(&self, interval: Duration, mut failures: Failures) {
        let mut changes = self.state.store.changes();
        let mut ticks = ticks(interval);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = changes.changed() => {}
            }
            failures.note(self.state.revocations.catch_up().await.map(|_| ()).map_err(StartError::from));
        }
    }

    async fn follow_others(&self, interval: Duration, mut failures: Failures) {
        let mut changes = self.state.store.changes();
        let mut held = self.state.revocations.loaded();
        let mut ticks = ticks(interval);
        loop {
            tokio::select! {
                _ = ticks.tick() => failures.note(self.follow_and_tend_all().await),
                Ok(()) = changes.changed() => failures.note(self.follow_and_tend().await),
                // `publish` can then announce a later change as complete.
                Ok(()) = held.changed() => failures.note(self.follow_and_tend().await),
            }
        }
    }

    /// Most changes are revocations, after which nothing is due.
    async fn follow_and_tend(&self) -> Result<(), StartError> {
        if self.follow().await? { self.tend().await } else { Ok(()) }
    }
}

/// Logs the first failure of a loop, and the recovery.
struct Failures {
    /// The state that the loop follows.
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

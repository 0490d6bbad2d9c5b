//! Following the store: what other replicas changed is in memory here as soon as the store tells of it, and within the
//! refresh interval at the latest. On the same rounds the keys are kept as planned, and it is told what is held here.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Mutex, watch};

use super::StartError;
use crate::{
    access::{Directory, TrustedIssuers, UsedAssertions},
    clock::Clock,
    keys::{Keeper, KeyRing},
    model::ChangeSequence,
    store::Store,
};

/// Follows the store's changes.
#[derive(Debug)]
pub(super) struct Follower {
    store: Arc<dyn Store>,
    ring: Arc<KeyRing>,
    directory: Arc<Directory>,
    used_assertions: Arc<UsedAssertions>,
    issuers: Arc<TrustedIssuers>,
    keeper: Arc<Keeper>,
    clock: Arc<dyn Clock>,
    /// What was followed. Held through a round, so that rounds do not overlap.
    seen: Mutex<Option<ChangeSequence>>,
}

impl Follower {
    pub(super) fn new(
        store: Arc<dyn Store>,
        ring: Arc<KeyRing>,
        directory: Arc<Directory>,
        used_assertions: Arc<UsedAssertions>,
        issuers: Arc<TrustedIssuers>,
        keeper: Arc<Keeper>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, ring, directory, used_assertions, issuers, keeper, clock, seen: Mutex::new(None) }
    }

    /// Resolves when nothing that a round began is under way any more.
    pub(super) async fn settled(&self) {
        self.issuers.settled().await;
    }

    /// One round.
    pub(super) async fn round(&self) -> Result<(), StartError> {
        let mut seen = self.seen.lock().await;
        // They need no store.
        self.issuers.tend();
        let asked = self.clock.now();
        // Read before the rows: a change in between is then seen twice rather than never.
        let sequence = self.store.change_sequence().await?;
        if *seen != Some(sequence) {
            self.ring.refresh().await?;
            self.directory.refresh().await?;
            *seen = Some(sequence);
        }
        self.directory.follow_files().await;
        self.ring.confirm(asked);
        self.ring.retry().await;
        self.keeper.tend().await?;
        self.keeper.report().await?;
        Ok(self.used_assertions.tidy().await?)
    }

    /// A round whenever the store tells of a change, and every `interval`, for ever. Of failures, the first and the
    /// recovery are logged.
    pub(super) async fn run(self: Arc<Self>, interval: Duration, mut failing: bool) {
        let mut changes = self.store.changes();
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            next(&mut ticks, &mut changes).await;
            match self.round().await {
                Ok(()) => {
                    if failing {
                        tracing::info!("the store can be read again");
                    }
                    failing = false;
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "the store cannot be followed; serving from memory");
                    }
                    failing = true;
                }
            }
        }
    }
}

/// Resolves at the next tick or change. A store that tells of nothing more is polled.
async fn next(ticks: &mut tokio::time::Interval, changes: &mut watch::Receiver<u64>) {
    tokio::select! {
        _ = ticks.tick() => {}
        Ok(()) = changes.changed() => {}
    }
}

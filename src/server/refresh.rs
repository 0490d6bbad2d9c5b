//! Following the store: what other replicas changed is in memory here within the refresh interval.

use std::{sync::Arc, time::Duration};

use super::StartError;
use crate::{
    access::Directory,
    keys::KeyRing,
    store::{ChangeSequence, Store},
};

/// Follows the store's changes.
pub(super) struct Refresher {
    pub(super) store: Arc<dyn Store>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) directory: Arc<Directory>,
}

impl Refresher {
    /// Looks for changes every `interval`, for ever. Of failures, the first and the recovery are logged.
    pub(super) async fn run(self, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut seen = None;
        let mut failing = false;
        loop {
            ticks.tick().await;
            match self.follow(seen).await {
                Ok(sequence) => {
                    if failing {
                        tracing::info!("the store can be read again");
                    }
                    (seen, failing) = (Some(sequence), false);
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "the store cannot be read; serving from memory");
                    }
                    failing = true;
                }
            }
        }
    }

    async fn follow(&self, seen: Option<ChangeSequence>) -> Result<ChangeSequence, StartError> {
        // Read before the rows: a change in between is then seen twice rather than never.
        let sequence = self.store.change_sequence().await?;
        if seen != Some(sequence) {
            self.ring.refresh().await?;
            self.directory.refresh().await?;
        }
        Ok(sequence)
    }
}

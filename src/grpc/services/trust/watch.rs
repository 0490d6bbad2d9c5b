//! A watch: sends the whole state, then each change, and heartbeats while nothing changes.

use std::{convert::Infallible, sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use tokio::sync::watch::Receiver;

use super::verifier_stream::{VerifierStream, WatchEnd};
use crate::{
    grpc::{convert, status::CallError},
    keys::KeyRing,
    model::{ChangeSequence, UnixTime},
    proto::v1::{
        WatchTrustBundleResponse,
        watch_trust_bundle_response::{Heartbeat, SnapshotEnd, Update},
    },
    revocations::Revocations,
};

/// How often a replica that is behind its verifier compares the two again.
const CATCH_UP_INTERVAL: Duration = Duration::from_millis(200);

pub(super) struct Watcher {
    pub(super) ring: Arc<KeyRing>,
    pub(super) revocations: Arc<Revocations>,
    /// The last change that the verifier has.
    pub(super) after: ChangeSequence,
    pub(super) heartbeat: Duration,
    /// The key of subject hashes, for a verifier that asked for hashes.
    pub(super) subject_hash: Option<hmac::Key>,
    pub(super) stream: VerifierStream,
}

impl Watcher {
    /// Serves the watch until it ends.
    pub(super) async fn run(mut self) {
        match self.serve().await {
            Err(end) => self.stream.end(end),
            Ok(never) => match never {},
        }
    }

    async fn serve(&mut self) -> Result<Infallible, WatchEnd> {
        let mut complete = self.revocations.complete();
        let mut heartbeats = tokio::time::interval(self.heartbeat);
        heartbeats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        heartbeats.reset();
        self.catch_up(&complete).await?;
        let mut begun = false;
        loop {
            let up_to = *complete.borrow_and_update();
            if self.send_changes(up_to).await? && !begun {
                begun = true;
                self.send(Update::SnapshotEnd(SnapshotEnd {})).await?;
            }
            let beat = self.stream.wait(async {
                tokio::select! {
                    changed = complete.changed() => changed.map(|()| false),
                    _ = heartbeats.tick() => Ok(true),
                }
            });
            if beat.await?.map_err(|_| WatchEnd::Error(CallError::ShuttingDown))? {
                self.send(Update::Heartbeat(Heartbeat {})).await?;
            } else {
                heartbeats.reset();
            }
        }
    }

    /// Waits while the verifier, which may come from another replica, has newer changes than this replica: it must not receive an older
    /// state. If it still has newer changes after this replica has read the store, they come from another store or from before a
    /// backup was restored, and the verifier receives the whole state.
    async fn catch_up(&mut self, complete: &Receiver<ChangeSequence>) -> Result<(), WatchEnd> {
        let began = self.as_of();
        let mut comparisons = tokio::time::interval(CATCH_UP_INTERVAL);
        let mut heartbeats = tokio::time::interval(self.heartbeat);
        heartbeats.reset();
        while *complete.borrow() < self.after {
            if self.as_of() > began {
                self.after = ChangeSequence(0);
                break;
            }
            let beat = self.stream.wait(async {
                tokio::select! {
                    _ = comparisons.tick() => false,
                    _ = heartbeats.tick() => true,
                }
            });
            if beat.await? {
                self.send(Update::Heartbeat(Heartbeat {})).await?;
            }
        }
        Ok(())
    }

    /// Sends the changes up to `up_to` in their order. All changes up to there must be in memory: a verifier that has received a change
    /// has all earlier ones, and may resume from it at any replica. Returns whether all could be sent.
    async fn send_changes(&mut self, up_to: ChangeSequence) -> Result<bool, WatchEnd> {
        if up_to < self.after {
            return Err(WatchEnd::Error(CallError::WentBack));
        }
        let keys = self.ring.trust().borrow().clone();
        if keys.sequence > up_to {
            // The keys in memory are newer than `up_to`: their earlier state is not kept. The rest of the changes follows soon.
            return Ok(false);
        }
        self.send_revocations(keys.sequence).await?;
        for update in keys.since(self.after) {
            self.after = update.sequence;
            self.send(convert::key_update(update.news)).await?;
        }
        self.send_revocations(up_to).await?;
        Ok(true)
    }

    /// Sends page by page: there may be millions.
    async fn send_revocations(&mut self, up_to: ChangeSequence) -> Result<(), WatchEnd> {
        let mut after = self.after;
        while after < up_to {
            let page = self.revocations.page(after, up_to);
            for record in page.records {
                self.after = record.sequence;
                self.send(convert::revocation(record.revocation, self.subject_hash.as_ref())).await?;
            }
            after = page.complete;
            // Many pages may have nothing to send: let other tasks run.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn send(&mut self, update: Update) -> Result<(), WatchEnd> {
        let response = WatchTrustBundleResponse {
            sequence: self.after.0,
            as_of_time: Some(convert::timestamp(self.as_of())),
            update: Some(update),
        };
        self.stream.send(response).await
    }

    fn as_of(&self) -> UnixTime {
        self.ring.as_of().min(self.revocations.as_of())
    }
}

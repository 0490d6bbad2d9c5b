//! One watch: the state first, then each change, and a sign of life while there is none.

use std::{convert::Infallible, sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use tokio::sync::watch::Receiver;

use super::line::{End, Line};
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

/// How often a replica that is behind its verifier looks whether it still is.
const CATCHING_UP: Duration = Duration::from_millis(200);

pub(super) struct Watcher {
    pub(super) ring: Arc<KeyRing>,
    pub(super) revocations: Arc<Revocations>,
    /// What the verifier has.
    pub(super) after: ChangeSequence,
    pub(super) heartbeat: Duration,
    /// Hashes subjects, for a verifier that asked for hashes.
    pub(super) subject_hash: Option<hmac::Key>,
    pub(super) line: Line,
}

impl Watcher {
    /// Serves the watch to its end.
    pub(super) async fn run(mut self) {
        match self.serve().await {
            Err(end) => self.line.end(end),
            Ok(never) => match never {},
        }
    }

    async fn serve(&mut self) -> Result<Infallible, End> {
        let mut complete = self.revocations.complete();
        let mut heartbeats = tokio::time::interval(self.heartbeat);
        heartbeats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        heartbeats.reset();
        self.catch_up(&complete).await?;
        let mut begun = false;
        loop {
            let up_to = *complete.borrow_and_update();
            if self.tell(up_to).await? && !begun {
                begun = true;
                self.send(Update::SnapshotEnd(SnapshotEnd {})).await?;
            }
            let beat = self.line.wait(async {
                tokio::select! {
                    changed = complete.changed() => changed.map(|()| false),
                    _ = heartbeats.tick() => Ok(true),
                }
            });
            if beat.await?.map_err(|_| End::Error(CallError::ShuttingDown))? {
                self.send(Update::Heartbeat(Heartbeat {})).await?;
            } else {
                heartbeats.reset();
            }
        }
    }

    /// A verifier that comes from another replica may have more than this one has yet: it must not be sent back to an
    /// older state. Waits until this replica has asked the store since; who then still has more has it from another store,
    /// or from this one before a backup of it was restored, and is given the whole state.
    async fn catch_up(&mut self, complete: &Receiver<ChangeSequence>) -> Result<(), End> {
        let began = self.as_of();
        let mut looks = tokio::time::interval(CATCHING_UP);
        let mut heartbeats = tokio::time::interval(self.heartbeat);
        heartbeats.reset();
        while *complete.borrow() < self.after {
            if self.as_of() > began {
                self.after = ChangeSequence(0);
                break;
            }
            let beat = self.line.wait(async {
                tokio::select! {
                    _ = looks.tick() => false,
                    _ = heartbeats.tick() => true,
                }
            });
            if beat.await? {
                self.send(Update::Heartbeat(Heartbeat {})).await?;
            }
        }
        Ok(())
    }

    /// Tells what is new up to a change up to which everything is in memory, in the order of the changes: whoever has been told one
    /// has everything before it, and may go on from there at any replica. Answers whether all of it could be told.
    async fn tell(&mut self, up_to: ChangeSequence) -> Result<bool, End> {
        if up_to < self.after {
            return Err(End::Error(CallError::WentBack));
        }
        let keys = self.ring.trust().borrow().clone();
        if keys.sequence > up_to {
            // What they were at that change is no longer known. It is not long until everything up to them is in memory.
            return Ok(false);
        }
        self.tell_revocations(keys.sequence).await?;
        for update in keys.since(self.after) {
            self.after = update.sequence;
            self.send(convert::news(update.news)).await?;
        }
        self.tell_revocations(up_to).await?;
        Ok(true)
    }

    /// Piece by piece: there may be millions.
    async fn tell_revocations(&mut self, up_to: ChangeSequence) -> Result<(), End> {
        let mut after = self.after;
        while after < up_to {
            let page = self.revocations.page(after, up_to);
            for record in page.records {
                self.after = record.sequence;
                self.send(convert::revocation(record.revocation, self.subject_hash.as_ref())).await?;
            }
            after = page.complete;
            // With nothing to send in many pieces, others must have their turn.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn send(&mut self, update: Update) -> Result<(), End> {
        let answer = WatchTrustBundleResponse {
            sequence: self.after.0,
            as_of_time: Some(convert::instant_message(self.as_of())),
            update: Some(update),
        };
        self.line.send(answer).await
    }

    fn as_of(&self) -> UnixTime {
        self.ring.as_of().min(self.revocations.as_of())
    }
}

//! One watch: the state first, then each change, and a sign of life while there is none.

use std::{sync::Arc, time::Duration};

use tonic::Streaming;

use super::feed::{Sender, Unread};
use crate::{
    grpc::{Drain, convert, status::CallError},
    keys::{KeyRing, TrustState, Watch},
    model::ChangeSequence,
    proto::v1::{
        WatchTrustBundleRequest, WatchTrustBundleResponse,
        watch_trust_bundle_response::{Heartbeat, SnapshotEnd, Update},
    },
};

/// How often a replica that is behind its verifier looks whether it still is.
const CATCHING_UP: Duration = Duration::from_millis(200);

pub(super) struct Watcher {
    pub(super) ring: Arc<KeyRing>,
    pub(super) watch: Watch,
    /// What the verifier has.
    pub(super) after: ChangeSequence,
    pub(super) heartbeat: Duration,
    pub(super) drain: Drain,
}

impl Watcher {
    /// Serves the watch to its end.
    pub(super) async fn run(mut self, requests: Streaming<WatchTrustBundleRequest>, sender: Sender) {
        let outcome = self.serve(requests, &sender).await;
        match outcome {
            Err(End::Unread(Unread::TooSlow)) => sender.end(CallError::SlowReader),
            Err(End::Unread(Unread::Gone)) => {}
            Err(End::Error(error)) => sender.end(error),
            Ok(never) => match never {},
        }
    }

    async fn serve(
        &mut self,
        mut requests: Streaming<WatchTrustBundleRequest>,
        sender: &Sender,
    ) -> Result<std::convert::Infallible, End> {
        let mut trust = self.ring.trust();
        self.catch_up(sender).await?;
        let state = trust.borrow_and_update().clone();
        self.tell(&state, sender).await?;
        sender.send(self.answer(Update::SnapshotEnd(SnapshotEnd {}))).await?;
        let mut heartbeats = tokio::time::interval(self.heartbeat);
        heartbeats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        heartbeats.reset();
        let mut acknowledges = true;
        loop {
            tokio::select! {
                changed = trust.changed() => {
                    changed.map_err(|_| End::Error(CallError::ShuttingDown))?;
                    let state = trust.borrow_and_update().clone();
                    self.tell(&state, sender).await?;
                    heartbeats.reset();
                }
                _ = heartbeats.tick() => sender.send(self.answer(Update::Heartbeat(Heartbeat {}))).await?,
                request = requests.message(), if acknowledges => match request {
                    Ok(Some(request)) => self.watch.acknowledge(convert::acknowledged(&request)?),
                    // It says no more, and still listens.
                    Ok(None) => acknowledges = false,
                    Err(_) => return Err(End::Unread(Unread::Gone)),
                },
                () = sender.gone() => return Err(End::Unread(Unread::Gone)),
                () = self.drain.begun() => return Err(End::Error(CallError::ShuttingDown)),
            }
        }
    }

    /// A verifier that comes from another replica may have more than this one has yet: it must not be sent back to an
    /// older state. Waits until this replica has asked the store since; who then still has more has it from another store,
    /// or from this one before a backup of it was restored, and is given the whole state.
    async fn catch_up(&mut self, sender: &Sender) -> Result<(), End> {
        let began = self.ring.as_of();
        let trust = self.ring.trust();
        let mut looks = tokio::time::interval(CATCHING_UP);
        let mut heartbeats = tokio::time::interval(self.heartbeat);
        heartbeats.reset();
        while trust.borrow().sequence < self.after {
            if self.ring.as_of() > began {
                self.after = ChangeSequence(0);
                break;
            }
            tokio::select! {
                _ = looks.tick() => {}
                _ = heartbeats.tick() => sender.send(self.answer(Update::Heartbeat(Heartbeat {}))).await?,
                () = sender.gone() => return Err(End::Unread(Unread::Gone)),
                () = self.drain.begun() => return Err(End::Error(CallError::ShuttingDown)),
            }
        }
        Ok(())
    }

    /// Tells what is new in `state`.
    async fn tell(&mut self, state: &TrustState, sender: &Sender) -> Result<(), End> {
        for update in state.since(self.after) {
            self.after = update.sequence;
            sender.send(self.answer(convert::news(update.news))).await?;
        }
        Ok(())
    }

    fn answer(&self, update: Update) -> WatchTrustBundleResponse {
        WatchTrustBundleResponse {
            sequence: self.after.0,
            as_of_time: Some(convert::instant_message(self.ring.as_of())),
            update: Some(update),
        }
    }
}

/// Why a watch ends.
enum End {
    Unread(Unread),
    Error(CallError),
}

impl From<Unread> for End {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

impl From<CallError> for End {
    fn from(error: CallError) -> Self {
        Self::Error(error)
    }
}

//! The line between a watch and its verifier: what is said to it, and what it says meanwhile.

use std::future::Future;

use tonic::Streaming;

use crate::{
    grpc::{
        Drain, convert,
        feed::{Sender, Unread},
        status::CallError,
    },
    keys::Watch,
    proto::v1::{WatchTrustBundleRequest, WatchTrustBundleResponse},
};

pub(super) struct Line {
    pub(super) watch: Watch,
    pub(super) sender: Sender<WatchTrustBundleResponse>,
    pub(super) drain: Drain,
    /// What the verifier says; none when it says no more, and still listens.
    pub(super) requests: Option<Streaming<WatchTrustBundleRequest>>,
}

/// Why a watch ends.
pub(super) enum End {
    Unread(Unread),
    Error(CallError),
}

impl Line {
    /// Sends an answer.
    pub(super) async fn send(&mut self, answer: WatchTrustBundleResponse) -> Result<(), End> {
        tokio::select! {
            sent = self.sender.send(answer) => sent.map_err(End::Unread),
            end = listen(&mut self.requests, &self.watch, &self.sender, &self.drain) => Err(end),
        }
    }

    /// Waits for something.
    pub(super) async fn wait<T>(&mut self, awaited: impl Future<Output = T>) -> Result<T, End> {
        tokio::select! {
            value = awaited => Ok(value),
            end = listen(&mut self.requests, &self.watch, &self.sender, &self.drain) => Err(end),
        }
    }

    /// Tells the verifier why the watch ends.
    pub(super) fn end(self, end: End) {
        match end {
            End::Unread(Unread::Gone) => {}
            End::Unread(Unread::TooSlow) => {
                self.sender.end(CallError::SlowReader.into_status_outside_calls());
            }
            End::Error(error) => self.sender.end(error.into_status_outside_calls()),
        }
    }
}

/// Takes in what the verifier says, until the watch ends.
async fn listen(
    requests: &mut Option<Streaming<WatchTrustBundleRequest>>,
    watch: &Watch,
    sender: &Sender<WatchTrustBundleResponse>,
    drain: &Drain,
) -> End {
    loop {
        tokio::select! {
            request = next(requests) => match request {
                Ok(Some(request)) => match convert::acknowledged(&request) {
                    Ok(held) => watch.acknowledge(held),
                    Err(error) => return End::Error(error),
                },
                Ok(None) => *requests = None,
                Err(_) => return End::Unread(Unread::Gone),
            },
            () = sender.gone() => return End::Unread(Unread::Gone),
            () = drain.begun() => return End::Error(CallError::ShuttingDown),
        }
    }
}

async fn next(
    requests: &mut Option<Streaming<WatchTrustBundleRequest>>,
) -> Result<Option<WatchTrustBundleRequest>, tonic::Status> {
    match requests {
        Some(requests) => requests.message().await,
        None => std::future::pending().await,
    }
}

impl From<CallError> for End {
    fn from(error: CallError) -> Self {
        Self::Error(error)
    }
}

//! Both directions of a watch: responses to the verifier, and the verifier's acknowledgements.

use std::future::Future;

use tonic::Streaming;

use crate::{
    grpc::{
        Drain, convert,
        response_stream::{ResponseSender, SendError},
        status::CallError,
    },
    keys::Watch,
    proto::v1::{WatchTrustBundleRequest, WatchTrustBundleResponse},
};

pub(super) struct VerifierStream {
    pub(super) watch: Watch,
    pub(super) sender: ResponseSender<WatchTrustBundleResponse>,
    pub(super) drain: Drain,
    /// The verifier's requests; none after the verifier has closed its direction.
    pub(super) requests: Option<Streaming<WatchTrustBundleRequest>>,
}

/// Why a watch ends.
pub(super) enum WatchEnd {
    Unsent(SendError),
    Error(CallError),
}

impl VerifierStream {
    /// Sends a response. Reads acknowledgements meanwhile.
    pub(super) async fn send(&mut self, response: WatchTrustBundleResponse) -> Result<(), WatchEnd> {
        tokio::select! {
            sent = self.sender.send(response) => sent.map_err(WatchEnd::Unsent),
            end = acknowledge(&mut self.requests, &self.watch, &self.sender, &self.drain) => Err(end),
        }
    }

    /// Waits for `event`. Reads acknowledgements meanwhile.
    pub(super) async fn wait<T>(&mut self, event: impl Future<Output = T>) -> Result<T, WatchEnd> {
        tokio::select! {
            value = event => Ok(value),
            end = acknowledge(&mut self.requests, &self.watch, &self.sender, &self.drain) => Err(end),
        }
    }

    /// Sends the status that ends the watch, unless the verifier has disconnected.
    pub(super) fn end(self, end: WatchEnd) {
        let error = match end {
            WatchEnd::Unsent(SendError::Disconnected) => return,
            WatchEnd::Unsent(SendError::TimedOut) => CallError::SlowReader,
            WatchEnd::Error(error) => error,
        };
        self.sender.end(error.into_status_outside_calls());
    }
}

/// Reads acknowledgements until the watch ends.
async fn acknowledge(
    requests: &mut Option<Streaming<WatchTrustBundleRequest>>,
    watch: &Watch,
    sender: &ResponseSender<WatchTrustBundleResponse>,
    drain: &Drain,
) -> WatchEnd {
    loop {
        tokio::select! {
            request = next_request(requests) => match request {
                Ok(Some(request)) => match convert::acknowledgement(&request) {
                    Ok(held) => watch.acknowledge(held),
                    Err(error) => return WatchEnd::Error(error),
                },
                Ok(None) => *requests = None,
                Err(_) => return WatchEnd::Unsent(SendError::Disconnected),
            },
            () = sender.disconnected() => return WatchEnd::Unsent(SendError::Disconnected),
            () = drain.begun() => return WatchEnd::Error(CallError::ShuttingDown),
        }
    }
}

async fn next_request(
    requests: &mut Option<Streaming<WatchTrustBundleRequest>>,
) -> Result<Option<WatchTrustBundleRequest>, tonic::Status> {
    match requests {
        Some(requests) => requests.message().await,
        None => std::future::pending().await,
    }
}

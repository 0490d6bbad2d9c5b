//! The way from a watch to its verifier: a few answers long, and no longer.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::Status;

use crate::{grpc::status::CallError, proto::v1::WatchTrustBundleResponse};

/// Answers on their way to one verifier, beside what HTTP/2 holds for it.
const LENGTH: usize = 4;

/// In a box, since a channel makes room for 32 of what it carries, however few may be on their way.
type Answer = Box<WatchTrustBundleResponse>;

/// Both ends of a feed whose reader may leave an answer unread for `unread`.
pub(super) fn channel(unread: Duration) -> (Sender, Feed) {
    let (answers, coming) = mpsc::channel(LENGTH);
    let (end, ended) = oneshot::channel();
    (Sender { answers, end, unread }, Feed { coming, ended: Some(ended) })
}

/// The watch's end.
#[derive(Debug)]
pub(super) struct Sender {
    answers: mpsc::Sender<Answer>,
    end: oneshot::Sender<Status>,
    unread: Duration,
}

/// Nobody reads any more, or not fast enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// The verifier went away.
    Gone,
    /// It did not read for too long.
    TooSlow,
}

impl Sender {
    /// Sends an answer. It waits while the verifier does not read, up to the bound.
    pub(super) async fn send(&self, answer: WatchTrustBundleResponse) -> Result<(), Unread> {
        match tokio::time::timeout(self.unread, self.answers.send(Box::new(answer))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_closed)) => Err(Unread::Gone),
            Err(_elapsed) => Err(Unread::TooSlow),
        }
    }

    /// Resolves when the verifier has gone away.
    pub(super) async fn gone(&self) {
        self.answers.closed().await;
    }

    /// Ends the feed with an error, after what was sent.
    pub(super) fn end(self, error: CallError) {
        // The verifier may have gone away.
        let _ = self.end.send(error.into_status_outside_calls());
    }
}

/// The verifier's end: what is sent as the answers of the call.
#[derive(Debug)]
pub(in crate::grpc) struct Feed {
    coming: mpsc::Receiver<Answer>,
    ended: Option<oneshot::Receiver<Status>>,
}

impl Stream for Feed {
    type Item = Result<WatchTrustBundleResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(answer) = ready!(self.coming.poll_recv(context)) {
            return Poll::Ready(Some(Ok(*answer)));
        }
        let Some(ended) = self.ended.as_mut() else { return Poll::Ready(None) };
        let end = ready!(Pin::new(ended).poll(context));
        self.ended = None;
        Poll::Ready(end.ok().map(Err))
    }
}

//! The responses of a stream on their way to its client: a few of them, and no more.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::Status;

/// Both ends of a feed of at most `length` responses, whose client may leave one unread for `unread`.
pub(super) fn channel<M>(length: usize, unread: Duration) -> (Sender<M>, Feed<M>) {
    // In boxes, since a channel makes room for 32 of what it carries, however few may be on their way.
    let (responses, coming) = mpsc::channel(length);
    let (end, ended) = oneshot::channel();
    (Sender { responses, end, unread }, Feed { coming, ended: Some(ended) })
}

/// The server's end.
#[derive(Debug)]
pub(super) struct Sender<M> {
    responses: mpsc::Sender<Box<M>>,
    end: oneshot::Sender<Status>,
    unread: Duration,
}

/// The client does not read, or not fast enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// The client disconnected.
    Gone,
    /// It did not read for too long.
    TooSlow,
}

impl<M> Sender<M> {
    /// Sends a response. It waits while the client does not read, up to the bound.
    pub(super) async fn send(&self, response: M) -> Result<(), Unread> {
        match tokio::time::timeout(self.unread, self.responses.send(Box::new(response))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_closed)) => Err(Unread::Gone),
            Err(_elapsed) => Err(Unread::TooSlow),
        }
    }

    /// Resolves when the client has disconnected.
    pub(super) async fn gone(&self) {
        self.responses.closed().await;
    }

    /// Ends the feed with an error, after what was sent.
    pub(super) fn end(self, status: Status) {
        // The client may have disconnected.
        let _ = self.end.send(status);
    }
}

/// The client's end: what is sent as the responses of the call.
#[derive(Debug)]
pub(super) struct Feed<M> {
    coming: mpsc::Receiver<Box<M>>,
    ended: Option<oneshot::Receiver<Status>>,
}

impl<M> Stream for Feed<M> {
    type Item = Result<M, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(response) = ready!(self.coming.poll_recv(context)) {
            return Poll::Ready(Some(Ok(*response)));
        }
        let Some(ended) = self.ended.as_mut() else { return Poll::Ready(None) };
        let end = ready!(Pin::new(ended).poll(context));
        self.ended = None;
        Poll::Ready(end.ok().map(Err))
    }
}

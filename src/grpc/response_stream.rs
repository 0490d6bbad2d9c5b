//! The responses of a server stream, in a bounded queue.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::Status;

/// Returns both ends of a queue of at most `capacity` responses. A response that cannot be queued for `send_timeout` fails.
pub(super) fn channel<M>(capacity: usize, send_timeout: Duration) -> (ResponseSender<M>, ResponseStream<M>) {
    // Boxed: a channel allocates room for 32 messages, whatever its capacity.
    let (queue, queued) = mpsc::channel(capacity);
    let (status, final_status) = oneshot::channel();
    (
        ResponseSender { queue, status, send_timeout },
        ResponseStream { queued, final_status: Some(final_status) },
    )
}

/// The server's end.
#[derive(Debug)]
pub(super) struct ResponseSender<M> {
    queue: mpsc::Sender<Box<M>>,
    status: oneshot::Sender<Status>,
    send_timeout: Duration,
}

/// A response was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendError {
    /// The client disconnected.
    Disconnected,
    /// The client did not read for too long.
    TimedOut,
}

impl<M> ResponseSender<M> {
    /// Queues a response. Waits while the queue is full.
    pub(super) async fn send(&self, response: M) -> Result<(), SendError> {
        match tokio::time::timeout(self.send_timeout, self.queue.send(Box::new(response))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_closed)) => Err(SendError::Disconnected),
            Err(_elapsed) => Err(SendError::TimedOut),
        }
    }

    /// Resolves when the client has disconnected.
    pub(super) async fn disconnected(&self) {
        self.queue.closed().await;
    }

    /// Ends the stream with an error, after the queued responses.
    pub(super) fn end(self, status: Status) {
        // An error means that the client has disconnected.
        let _ = self.status.send(status);
    }
}

/// The client's end, which tonic sends.
#[derive(Debug)]
pub struct ResponseStream<M> {
    queued: mpsc::Receiver<Box<M>>,
    final_status: Option<oneshot::Receiver<Status>>,
}

impl<M> Stream for ResponseStream<M> {
    type Item = Result<M, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(response) = ready!(self.queued.poll_recv(context)) {
            return Poll::Ready(Some(Ok(*response)));
        }
        let Some(final_status) = self.final_status.as_mut() else { return Poll::Ready(None) };
        let status = ready!(Pin::new(final_status).poll(context));
        self.final_status = None;
        Poll::Ready(status.ok().map(Err))
    }
}

//! The request body of a call (gRPC over HTTP/2, "Length-Prefixed-Message").

use std::{
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use crate::{
    grpc::{call::CallContext, framing::PREFIX_LENGTH, status::CallError},
    model::NoRoom,
};

/// A request body that fails after a second message, where the method takes one, and at trailers: tonic ignores further messages, and
/// takes trailers for metadata, credentials included.
pub(super) struct RequestBody<B> {
    body: B,
    call: Arc<CallContext>,
    /// The message, where the method takes only one.
    single: Option<MessageProgress>,
}

/// The received part of a message.
#[derive(Debug, Default)]
struct MessageProgress {
    prefix: [u8; PREFIX_LENGTH],
    received: usize,
}

impl MessageProgress {
    /// Adds the next bytes. Returns false if any of them are beyond the end of the message.
    fn add(&mut self, bytes: &[u8]) -> bool {
        for (slot, byte) in self.prefix.iter_mut().skip(self.received).zip(bytes) {
            *slot = *byte;
        }
        self.received = self.received.saturating_add(bytes.len());
        let [_, length @ ..] = self.prefix;
        // The end is unknown until the whole prefix is there.
        self.received <= PREFIX_LENGTH
            || u32::try_from(self.received - PREFIX_LENGTH)
                .is_ok_and(|received| received <= u32::from_be_bytes(length))
    }
}

impl<B> RequestBody<B> {
    /// Wraps the request body of `call`.
    pub(super) fn new(call: Arc<CallContext>, body: B) -> Self {
        let single = (!call.method().client_streaming).then(MessageProgress::default);
        Self { body, call, single }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { body, call, single } = &mut *self;
        let undecodable = |problem: &str| CallError::Undecodable(problem.to_owned()).into_status(call);
        Poll::Ready(ready!(Pin::new(body).poll_frame(context)).map(|frame| {
            let frame = frame.map_err(|error| {
                let error = error.into();
                match error.downcast_ref::<NoRoom>() {
                    Some(no_room) => CallError::from(*no_room).into_status(call),
                    None => Status::from_error(error),
                }
            })?;
            let Some(bytes) = frame.data_ref() else {
                return Err(undecodable("the request has trailers, which gRPC does not allow"));
            };
            match single.as_mut().map(|message| message.add(bytes)) {
                Some(false) => Err(undecodable("there is more than the one message that the method takes")),
                None | Some(true) => Ok(frame),
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_where_its_prefix_says_however_it_is_cut() {
        let one = [0, 0, 0, 0, 3, 1, 2, 3];
        for (bytes, whole) in [
            (&one[..], true),
            (&one[..4], true),
            (&[0; 5], true),
            (&[0; 6], false),
            (&[&one[..], &[0]].concat(), false),
            (&[&one[..], &one].concat(), false),
            (&[&[0; 5][..], &[0; 5]].concat(), false),
        ] {
            for size in 1..=bytes.len() {
                let mut message = MessageProgress::default();
                assert_eq!(bytes.chunks(size).all(|chunk| message.add(chunk)), whole, "{bytes:?} by {size}");
            }
        }
    }
}

//! The instrumented service of one connection: it passes the peer to each call, and counts the call and the memory that it holds.

use std::{
    convert::Infallible,
    error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::Service;

use super::{
    activity::{Activity, OpenCall},
    memory::{Reservation, SourceMemory},
};
use crate::model::{FromPeer, NoRoom, Peer};

type BoxError = Box<dyn error::Error + Send + Sync>;

/// A service on one connection.
#[derive(Debug, Clone)]
pub(super) struct InstrumentedService<S> {
    pub(super) service: S,
    pub(super) peer: Peer,
    pub(super) activity: Arc<Activity>,
    pub(super) memory: Arc<SourceMemory>,
    pub(super) max_header_bytes: u32,
}

impl<S, B, A> Service<Request<B>> for InstrumentedService<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<A>, Error = Infallible>,
    S::Future: Unpin,
    A: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<A>>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (text_bytes, count) = text_bytes(request.headers());
        let memory = self.memory.reserve_call(text_bytes + ENTRY_BYTES * count).map(Arc::new);
        let call = Some((self.activity.begin_call(), memory.as_ref().ok().map(Arc::clone)));
        // The size of the header list (RFC 9113 section 6.5.2), without the pseudo-headers but the path.
        let list_bytes = text_bytes + 32 * count + request.uri().path().len();
        let limit = self.max_header_bytes;
        let excess_metadata = u32::try_from(list_bytes).map_or(true, |bytes| bytes > limit).then_some(limit);
        let activity = Arc::clone(&self.activity);
        let request = request.map(|body| RequestBody {
            body,
            peer: self.peer.clone(),
            activity,
            memory,
            excess_metadata,
            prefixes: MessagePrefixes::default(),
        });
        ResponseFuture { call, future: self.service.call(request) }
    }
}

/// Memory of an entry in a header map, beside its name and value.
const ENTRY_BYTES: usize = 160;

/// The bytes of names and values, and the number of entries.
fn text_bytes(metadata: &HeaderMap) -> (usize, usize) {
    (metadata.iter().map(|(name, value)| name.as_str().len() + value.len()).sum(), metadata.len())
}

/// The memory of metadata: names, values, and their entries in the header map.
fn metadata_bytes(metadata: &HeaderMap) -> usize {
    let (bytes, count) = text_bytes(metadata);
    bytes + ENTRY_BYTES * count
}

/// A request body. It ends with an error when the client resets the stream, or when the [memory limit](NoRoom) is reached.
pub struct RequestBody<B> {
    body: B,
    peer: Peer,
    activity: Arc<Activity>,
    memory: Result<Arc<Reservation>, NoRoom>,
    excess_metadata: Option<u32>,
    prefixes: MessagePrefixes,
}

impl<B> FromPeer for RequestBody<B> {
    fn peer(&self) -> Option<&Peer> {
        Some(&self.peer)
    }

    fn exceeded_metadata_limit(&self) -> Option<u32> {
        self.excess_metadata
    }
}

/// Reads the prefixes of length-prefixed messages (gRPC over HTTP/2: one byte for compression, four for the length). A reader
/// allocates the whole message when it begins, so its length counts from there.
#[derive(Debug, Default)]
struct MessagePrefixes {
    prefix: [u8; 5],
    /// Bytes of the prefix that have arrived.
    filled: usize,
    /// Bytes of the message that have not arrived.
    remaining: usize,
}

impl MessagePrefixes {
    /// Returns the total length of the messages that begin in `bytes`.
    fn begun(&mut self, mut bytes: &[u8]) -> usize {
        let mut begun = 0_usize;
        while !bytes.is_empty() {
            if self.remaining > 0 {
                let (_, rest) = bytes.split_at(self.remaining.min(bytes.len()));
                self.remaining -= bytes.len() - rest.len();
                bytes = rest;
                continue;
            }
            let (Some(next), Some((byte, rest))) = (self.prefix.get_mut(self.filled), bytes.split_first())
            else {
                break;
            };
            *next = *byte;
            bytes = rest;
            self.filled += 1;
            if self.filled == self.prefix.len() {
                let [_, length @ ..] = self.prefix;
                self.remaining = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                self.filled = 0;
                begun = begun.saturating_add(self.remaining);
            }
        }
        begun
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { body, activity, memory, prefixes, .. } = &mut *self;
        let memory = match memory {
            Ok(memory) => memory,
            Err(exceeded) => return Poll::Ready(Some(Err((*exceeded).into()))),
        };
        Poll::Ready(match ready!(Pin::new(body).poll_frame(context)) {
            None => None,
            Some(Err(error)) => {
                activity.reset();
                Some(Err(error.into()))
            }
            Some(Ok(frame)) => {
                let trailers = frame.trailers_ref().map_or(0, metadata_bytes);
                let length = frame.data_ref().map_or(trailers, |data| prefixes.begun(data));
                Some(memory.add_message(length).map(|()| frame).map_err(Into::into))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.memory.is_ok() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The future of a response.
pub(super) struct ResponseFuture<F> {
    future: F,
    call: Option<(OpenCall, Option<Arc<Reservation>>)>,
}

impl<F, A> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<A>, Infallible>> + Unpin,
    A: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<A>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(response) = ready!(Pin::new(&mut self.future).poll(context));
        let (mut call, memory) = self.call.take().unzip();
        Poll::Ready(Ok(response.map(|body| {
            // hyper does not poll the body of a response that is headers alone, such as an error.
            if body.is_end_stream() {
                complete(&mut call);
            }
            ResponseBody { body, call, memory: memory.flatten() }
        })))
    }
}

/// A response body.
pub(super) struct ResponseBody<A> {
    body: A,
    call: Option<OpenCall>,
    memory: Option<Arc<Reservation>>,
}

/// The data of a response frame. Its memory, and what is left of the call's, is reserved until hyper has written it.
pub(super) struct ResponseData {
    bytes: Bytes,
    _memory: Option<(Reservation, Arc<Reservation>)>,
}

fn complete(call: &mut Option<OpenCall>) {
    if let Some(mut call) = call.take() {
        call.complete();
    }
}

impl<A> Body for ResponseBody<A>
where
    A: Body<Data = Bytes> + Unpin,
    A::Error: Into<BoxError>,
{
    type Data = ResponseData;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<ResponseData>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) if !frame.is_trailers() && !self.body.is_end_stream() => {
                if let Some(call) = &self.call {
                    call.message();
                }
            }
            // Trailers end a gRPC response.
            _ => complete(&mut self.call),
        }
        Poll::Ready(frame.map(|frame| self.reserve(frame.map_err(Into::into)?)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<A> ResponseBody<A> {
    /// Releases the memory of the request, and reserves that of the frame.
    fn reserve(&self, frame: Frame<Bytes>) -> Result<Frame<ResponseData>, BoxError> {
        let mut reserved = None;
        if let (Some(memory), Some(data)) = (&self.memory, frame.data_ref()) {
            memory.release_request();
            reserved = Some((memory.source().reserve(data.len())?, Arc::clone(memory)));
        }
        Ok(frame.map_data(|bytes| ResponseData { bytes, _memory: reserved }))
    }
}

impl Buf for ResponseData {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use super::MessagePrefixes;

    #[test]
    fn a_message_counts_when_it_begins_wherever_it_is_split() {
        // Messages of 3, of 0, and of 300 bytes, of which 2 have arrived.
        let bytes = [&[0, 0, 0, 0, 3, 1, 2, 3][..], &[0, 0, 0, 0, 0], &[0, 0, 0, 1, 44, 9, 9]].concat();
        for size in 1..=bytes.len() {
            let mut prefixes = MessagePrefixes::default();
            let begun: Vec<usize> = bytes.chunks(size).map(|chunk| prefixes.begun(chunk)).collect();
            assert_eq!(begun.iter().sum::<usize>(), 303, "{size}");
            assert_eq!((prefixes.remaining, prefixes.filled), (298, 0), "{size}");
        }
        // The length counts before the message arrives.
        assert_eq!(MessagePrefixes::default().begun(&[0, 255, 255, 255, 255]), 4_294_967_295);
    }
}

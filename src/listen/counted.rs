//! The service of one connection: it tells each call who is at the other end, and counts it and what it holds.

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
    activity::{Activity, Call},
    memory::{Held, Share},
};
use crate::model::{FromPeer, NoRoom, Peer};

type BoxError = Box<dyn error::Error + Send + Sync>;

/// A service on one connection.
#[derive(Debug, Clone)]
pub(super) struct Counted<S> {
    pub(super) service: S,
    pub(super) peer: Peer,
    pub(super) activity: Arc<Activity>,
    pub(super) memory: Arc<Share>,
}

impl<S, B, A> Service<Request<B>> for Counted<S>
where
    S: Service<Request<Question<B>>, Response = Response<A>, Error = Infallible>,
    S::Future: Unpin,
    A: Body<Data = Bytes>,
{
    type Response = Response<Answer<A>>;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let held = self.memory.call(octets(request.headers())).map(Arc::new);
        let call = Some((self.activity.call(), held.as_ref().ok().map(Arc::clone)));
        let activity = Arc::clone(&self.activity);
        let request = request.map(|body| Question {
            body,
            peer: self.peer.clone(),
            activity,
            held,
            lengths: Lengths::default(),
        });
        Answering { call, future: self.service.call(request) }
    }
}

/// What metadata holds in memory: its octets, and its place in the table.
fn octets(metadata: &HeaderMap) -> usize {
    metadata.iter().map(|(name, value)| name.as_str().len() + value.len() + 160).sum()
}

/// A request's body. It ends with an error when its client resets the stream, and when there is [no room](NoRoom) for more of
/// it.
pub struct Question<B> {
    body: B,
    peer: Peer,
    activity: Arc<Activity>,
    held: Result<Arc<Held>, NoRoom>,
    lengths: Lengths,
}

impl<B> FromPeer for Question<B> {
    fn peer(&self) -> Option<&Peer> {
        Some(&self.peer)
    }
}

/// Reads how long the messages are that come (the length-prefixed messages of gRPC over HTTP/2: an octet for compression, four for
/// the length). Whoever reads a message makes room for all of it when it begins, and so that is when it counts.
#[derive(Debug, Default)]
struct Lengths {
    prefix: [u8; 5],
    /// How much of the prefix is there.
    have: usize,
    /// How much of the message is to come.
    left: usize,
}

impl Lengths {
    /// The length of the messages that begin in these octets.
    fn begun(&mut self, mut octets: &[u8]) -> usize {
        let mut begun = 0_usize;
        while !octets.is_empty() {
            if self.left > 0 {
                let (_, rest) = octets.split_at(self.left.min(octets.len()));
                self.left -= octets.len() - rest.len();
                octets = rest;
                continue;
            }
            let (Some(place), Some((octet, rest))) = (self.prefix.get_mut(self.have), octets.split_first())
            else {
                break;
            };
            *place = *octet;
            octets = rest;
            self.have += 1;
            if self.have == self.prefix.len() {
                let [_, length @ ..] = self.prefix;
                self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                self.have = 0;
                begun = begun.saturating_add(self.left);
            }
        }
        begun
    }
}

impl<B> Body for Question<B>
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
        let Self { body, activity, held, lengths, .. } = &mut *self;
        let held = match held {
            Ok(held) => held,
            Err(no_room) => return Poll::Ready(Some(Err((*no_room).into()))),
        };
        Poll::Ready(match ready!(Pin::new(body).poll_frame(context)) {
            None => None,
            Some(Err(error)) => {
                activity.take_back();
                Some(Err(error.into()))
            }
            Some(Ok(frame)) => {
                let trailers = frame.trailers_ref().map_or(0, octets);
                match held.message(frame.data_ref().map_or(trailers, |data| lengths.begun(data))) {
                    Ok(()) => Some(Ok(frame)),
                    Err(no_room) => Some(Err(no_room.into())),
                }
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_ok() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The answer to come.
pub(super) struct Answering<F> {
    future: F,
    call: Option<(Call, Option<Arc<Held>>)>,
}

impl<F, A> Future for Answering<F>
where
    F: Future<Output = Result<Response<A>, Infallible>> + Unpin,
    A: Body<Data = Bytes>,
{
    type Output = Result<Response<Answer<A>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(response) = ready!(Pin::new(&mut self.future).poll(context));
        let (mut call, held) = self.call.take().unzip();
        Poll::Ready(Ok(response.map(|body| {
            // An error is headers and nothing else: nobody will ask its body.
            if body.is_end_stream() {
                answered(&mut call);
            }
            Answer { body, call, held: held.flatten() }
        })))
    }
}

/// An answer's body, which knows its call.
pub(super) struct Answer<A> {
    body: A,
    call: Option<Call>,
    held: Option<Arc<Held>>,
}

/// A part of an answer, which counts as held until it was written, and with it what is left of its call.
pub(super) struct Part {
    octets: Bytes,
    _held: Option<(Held, Arc<Held>)>,
}

fn answered(call: &mut Option<Call>) {
    if let Some(mut call) = call.take() {
        call.answered();
    }
}

impl<A> Body for Answer<A>
where
    A: Body<Data = Bytes> + Unpin,
    A::Error: Into<BoxError>,
{
    type Data = Part;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Part>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) if !frame.is_trailers() && !self.body.is_end_stream() => {
                if let Some(call) = &self.call {
                    call.part();
                }
            }
            // Trailers are the last of a gRPC answer.
            _ => answered(&mut self.call),
        }
        Poll::Ready(frame.map(|frame| self.held(frame.map_err(Into::into)?)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<A> Answer<A> {
    /// The frame, once there is room for it. What the question held is given back first.
    fn held(&self, frame: Frame<Bytes>) -> Result<Frame<Part>, BoxError> {
        let Some(held) = &self.held else { return Ok(frame.map_data(|octets| Part { octets, _held: None })) };
        let mut part = None;
        if let Some(octets) = frame.data_ref() {
            held.answered();
            part = Some((held.share().hold(octets.len())?, Arc::clone(held)));
        }
        Ok(frame.map_data(|octets| Part { octets, _held: part }))
    }
}

impl Buf for Part {
    fn remaining(&self) -> usize {
        self.octets.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.octets.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.octets.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use super::Lengths;

    #[test]
    fn a_message_counts_when_it_begins_however_it_is_cut() {
        // Of 3, of none, and of 300, of which two octets have come.
        let octets = [&[0, 0, 0, 0, 3, 1, 2, 3][..], &[0, 0, 0, 0, 0], &[0, 0, 0, 1, 44, 9, 9]].concat();
        for size in 1..=octets.len() {
            let mut lengths = Lengths::default();
            let begun: Vec<usize> = octets.chunks(size).map(|chunk| lengths.begun(chunk)).collect();
            assert_eq!(begun.iter().sum::<usize>(), 303, "{size}");
            assert_eq!((lengths.left, lengths.have), (298, 0), "{size}");
        }
        // The length is known before anything of the message has come.
        assert_eq!(Lengths::default().begun(&[0, 255, 255, 255, 255]), 4_294_967_295);
    }
}

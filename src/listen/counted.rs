//! The service of one connection: it tells each call who is at the other end, and counts it.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::Service;

use super::activity::{Activity, Call};
use crate::model::Peer;

/// A service on one connection.
#[derive(Debug, Clone)]
pub(super) struct Counted<S> {
    pub(super) service: S,
    pub(super) peer: Peer,
    pub(super) activity: Arc<Activity>,
}

impl<S, B, A> Service<Request<B>> for Counted<S>
where
    S: Service<Request<Question<B>>, Response = Response<A>, Error = Infallible>,
    S::Future: Unpin,
    A: Body,
{
    type Response = Response<Answer<A>>;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        let request = request.map(|body| Question { body, activity: Arc::clone(&self.activity) });
        Answering { call: Some(self.activity.call()), future: self.service.call(request) }
    }
}

/// A request's body. When its client resets the stream, it ends with an error.
pub struct Question<B> {
    body: B,
    activity: Arc<Activity>,
}

impl<B: Body + Unpin> Body for Question<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Err(_)) = &frame {
            self.activity.take_back();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The answer to come.
pub(super) struct Answering<F> {
    future: F,
    call: Option<Call>,
}

impl<F, A> Future for Answering<F>
where
    F: Future<Output = Result<Response<A>, Infallible>> + Unpin,
    A: Body,
{
    type Output = Result<Response<Answer<A>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(response) = ready!(Pin::new(&mut self.future).poll(context));
        let mut call = self.call.take();
        Poll::Ready(Ok(response.map(|body| {
            // An error is headers and nothing else: nobody will ask its body.
            if body.is_end_stream() {
                answered(&mut call);
            }
            Answer { body, call }
        })))
    }
}

/// An answer's body, which knows its call.
pub(super) struct Answer<A> {
    body: A,
    call: Option<Call>,
}

fn answered(call: &mut Option<Call>) {
    if let Some(mut call) = call.take() {
        call.answered();
    }
}

impl<A: Body + Unpin> Body for Answer<A> {
    type Data = A::Data;
    type Error = A::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<A::Data>, A::Error>>> {
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
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! Services whose streams have no work of their own, such as health watches: they end when the drain begins.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use tonic::{Status, body::Body, server::NamedService};
use tower::Service;

use super::Drain;
use crate::grpc::status::CallError;

/// A service whose responses end when the drain begins.
#[derive(Debug, Clone)]
pub(in crate::grpc) struct UntilDrain<S> {
    pub(in crate::grpc) service: S,
    pub(in crate::grpc) drain: Drain,
}

impl<S: NamedService> NamedService for UntilDrain<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for UntilDrain<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (answered, drain) = (self.service.call(request), self.drain.clone());
        Box::pin(async move {
            let begun = Box::pin(async move { drain.begun().await });
            Ok(answered.await?.map(|body| Body::new(Messages { body, begun, ended: false })))
        })
    }
}

/// The messages of a response, and after the drain has begun a status in place of further ones.
struct Messages {
    body: Body,
    begun: Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: bool,
}

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // What is to be sent goes before the end: the last message of a health watch says NOT_SERVING.
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        ready!(self.begun.as_mut().poll(context));
        self.ended = true;
        let mut trailers = HeaderMap::new();
        CallError::ShuttingDown.into_status_outside_calls().add_header(&mut trailers)?;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("ended", &self.ended).finish_non_exhaustive()
    }
}

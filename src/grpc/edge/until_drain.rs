//! A layer that ends the streams of a service, such as health watches, when the server stops.

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
        let (response, drain) = (self.service.call(request), self.drain.clone());
        Box::pin(async move {
            let begun = Box::pin(async move { drain.begun().await });
            Ok(response.await?.map(|body| Body::new(ResponseBody { body, begun, ended: false })))
        })
    }
}

/// A response body that ends with a status once the drain has begun.
struct ResponseBody {
    body: Body,
    begun: Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: bool,
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // Messages that are ready go first: the last message of a health watch is NOT_SERVING.
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

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("ended", &self.ended).finish_non_exhaustive()
    }
}

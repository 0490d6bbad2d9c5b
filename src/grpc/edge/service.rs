//! The service that stands before all methods.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{Request, Response};
use tonic::{Code, Status, body::Body, service::Routes};
use tower::Service;
use tracing::Instrument as _;

use super::{Drain, deadline, request_id};
use crate::grpc::{
    RpcMetrics,
    status::{self, CallError},
};

/// The bounds of a call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest that a call may take.
    pub request_timeout: Duration,
}

/// Stands before all methods.
#[derive(Debug, Clone)]
pub struct Edge {
    routes: Routes,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    drain: Drain,
    metrics: Arc<RpcMetrics>,
}

impl Edge {
    /// Puts itself before `routes`.
    pub fn new(routes: Routes, limits: Limits, drain: Drain, metrics: Arc<RpcMetrics>) -> Self {
        Self { routes, shared: Arc::new(Shared { limits, drain, metrics }) }
    }

    /// One call from edge to edge. Outermost first: request id, metrics, span, drain, deadline, the framework's own
    /// errors, the method.
    async fn answer<B>(mut routes: Routes, shared: Arc<Shared>, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let request_id = request_id::of(request.headers());
        let method = shared.metrics.name(request.uri().path());
        let began = Instant::now();
        // Of the highest level, so that every line has the request id, however little is logged.
        let span = tracing::error_span!("call", method, request_id = request_id.to_str().unwrap_or_default());
        let time = deadline::of(request.headers(), shared.limits.request_timeout);
        let answered = async {
            if shared.drain.has_begun() {
                return Err(CallError::ShuttingDown);
            }
            let response = tokio::select! {
                biased;
                response = tokio::time::timeout(time, routes.call(request)) => response,
                () = shared.drain.over() => return Err(CallError::ShuttingDown),
            };
            match response {
                Ok(Ok(response)) => match status::of_framework(response.headers()) {
                    Some(error) => Err(error),
                    None => Ok(response),
                },
                Ok(Err(infallible)) => match infallible {},
                Err(_elapsed) => Err(CallError::DeadlineExceeded),
            }
        };
        let response = async { answered.await.unwrap_or_else(|error| error.into_status().into_http()) };
        let mut response = response.instrument(span).await;
        shared.metrics.observe(method, code(&response), began.elapsed());
        response.headers_mut().insert(request_id::NAME, request_id);
        response
    }
}

/// The code of a response whose headers are known. One that has none there is a stream or a message: OK so far.
fn code(response: &Response<Body>) -> Code {
    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
}

impl<B> Service<Request<B>> for Edge
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Routes are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = Self::answer(self.routes.clone(), Arc::clone(&self.shared), request);
        Box::pin(async move { Ok(answer.await) })
    }
}

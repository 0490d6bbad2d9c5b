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
use tracing::{Instrument as _, field};

use super::{Drain, deadline, request_id};
use crate::{
    audit::AuditLog,
    grpc::{
        Admission, RpcMetrics,
        status::{self, CallError},
        trail::Call,
    },
    model::Peer,
    spans::Spans,
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
    shared: Arc<EdgeParts>,
}

/// What the edge works with.
#[derive(Debug)]
pub struct EdgeParts {
    /// The bounds of a call.
    pub limits: Limits,
    /// Tells when no call is begun any more.
    pub drain: Drain,
    /// Counts calls.
    pub metrics: Arc<RpcMetrics>,
    /// Takes calls on, or not.
    pub admission: Arc<Admission>,
    /// Where calls leave their events.
    pub audit: Arc<AuditLog>,
    /// Begins the spans of calls that are traced; none: none is.
    pub spans: Option<Arc<Spans>>,
}

impl Edge {
    /// Puts itself before `routes`.
    pub fn new(routes: Routes, parts: EdgeParts) -> Self {
        Self { routes, shared: Arc::new(parts) }
    }

    /// One call from edge to edge. Outermost first: request id, metrics, spans, audit, trail, drain, deadline, the
    /// framework's own errors, the method.
    async fn answer<B>(mut routes: Routes, shared: Arc<EdgeParts>, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let request_id = request_id::of(request.headers());
        let method = shared.metrics.name(request.uri().path());
        let began = Instant::now();
        // Of the highest level, so that every line has the request id, however little is logged.
        let span = tracing::error_span!(
            "call",
            method,
            request_id = request_id.to_str().unwrap_or_default(),
            trace_id = field::Empty
        );
        let traced = shared.spans.as_ref().and_then(|spans| spans.begin(request.headers(), method));
        if let Some(traced) = &traced {
            span.record("trace_id", traced.trace_id());
        }
        let call = Call {
            method,
            request_id: &request_id,
            peer: request.extensions().get::<Peer>().map(|peer| peer.address),
            audit: &shared.audit,
            admission: &shared.admission,
        };
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
        let answered = async { answered.await.unwrap_or_else(|error| error.into_status().into_http()) };
        let audited = async {
            let (response, event) = call.trace(answered, code).await;
            let Some(event) = event else { return response };
            match shared.audit.write(&event).await {
                Ok(()) => response,
                Err(error) => CallError::from(error).into_status().into_http(),
            }
        };
        let audited = audited.instrument(span);
        let mut response = match &traced {
            Some(traced) => traced.run(audited).await,
            None => audited.await,
        };
        let code = code(&response);
        if let Some(traced) = traced {
            traced.end(code.into(), is_failure(code));
        }
        shared.metrics.observe(method, code, began.elapsed());
        response.headers_mut().insert(request_id::NAME, request_id);
        response
    }
}

/// The code of a response whose headers are known. One that has none there is a stream or a message: OK so far.
fn code(response: &Response<Body>) -> Code {
    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
}

/// Whether a code is the server's fault (OpenTelemetry's semantic conventions for gRPC).
const fn is_failure(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
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

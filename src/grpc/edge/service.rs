//! The service that stands before all methods.

use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{Request, Response};
use tonic::{Code, Status, body::Body, service::Routes};
use tower::Service;
use tracing::{Instrument as _, field};

use super::{Drain, deadline, form, messages::Messages, request_id};
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

    /// One call from edge to edge: request id, metrics and spans around [what is done for it](EdgeParts::serve).
    async fn answer<B>(
        routes: Routes,
        shared: Arc<EdgeParts>,
        request: Request<B>,
    ) -> Result<Response<Body>, Infallible>
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let request_id = request_id::of(request.headers());
        let method = shared.metrics.name(request.uri().path());
        if !begins_on_its_connection(method) {
            // From here on in a task of its own: what signs or hashes must not keep the other calls of its connection waiting.
            tokio::task::yield_now().await;
        }
        let began = Instant::now();
        if let Some(mut response) = form::refuse(&request) {
            // The code that a gRPC client makes of it.
            shared.metrics.observe(method, Code::Unknown, began.elapsed());
            response.headers_mut().insert(request_id::NAME, request_id);
            return Ok(response);
        }
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
        let mut response = {
            let served = pin!(shared.serve(&call, routes, request).instrument(span));
            match &traced {
                Some(traced) => traced.run(served).await,
                None => served.await,
            }
        };
        let code = code(&response);
        if let Some(traced) = traced {
            traced.end(code.into(), is_failure(code));
        }
        shared.metrics.observe(method, code, began.elapsed());
        response.headers_mut().insert(request_id::NAME, request_id);
        Ok(response)
    }
}

impl EdgeParts {
    /// What is done for a call. Outermost first: audit, trail, drain, deadline, the framework's own errors, the method.
    ///
    /// Each step is pinned where it is made, and the step around it has a reference to it: a future that is moved into
    /// another one takes room there twice, which would be 34 KB for each call.
    async fn serve<B>(&self, call: &Call<'_>, mut routes: Routes, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let time = deadline::of(request.headers(), self.limits.request_timeout);
        let answered = pin!(async {
            if self.drain.has_begun() {
                return Err(CallError::ShuttingDown);
            }
            // The router would pass over a query, and a proxy that allows paths might not.
            if request.uri().query().is_some() {
                return Err(CallError::MethodUnknown);
            }
            let response = tokio::select! {
                biased;
                response = tokio::time::timeout(time, routes.call(request.map(|body| Body::new(Messages::of(call.method, body))))) => response,
                () = self.drain.over() => return Err(CallError::ShuttingDown),
            };
            match response {
                Ok(Ok(response)) => match status::of_framework(response.headers()) {
                    Some(error) => Err(error),
                    None => Ok(response),
                },
                Ok(Err(infallible)) => match infallible {},
                Err(_elapsed) => Err(CallError::DeadlineExceeded),
            }
        });
        let answered = pin!(async { answered.await.unwrap_or_else(|error| error.into_status().into_http()) });
        let (response, event) = call.trace(answered, code).await;
        let Some(event) = event else { return response };
        match self.audit.write(&event).await {
            Ok(()) => response,
            Err(error) => CallError::from(error).into_status().into_http(),
        }
    }
}

/// Whether a method most often ends at once, with what is in memory.
fn begins_on_its_connection(method: &str) -> bool {
    matches!(
        method,
        "/tokend.v1.TokenService/VerifyToken"
            | "/tokend.v1.TokenService/BatchVerifyTokens"
            | "/grpc.health.v1.Health/Check"
    )
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
    B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
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
        Box::pin(Self::answer(self.routes.clone(), Arc::clone(&self.shared), request))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::{audit::AuditSettings, clock::SystemClock, grpc::AdmissionLimits, model::ClientLimits};

    #[tokio::test]
    async fn what_is_kept_for_a_call_while_it_is_served_is_small() {
        let clock = Arc::new(SystemClock);
        let client = ClientLimits::default();
        let parts = EdgeParts {
            limits: Limits { request_timeout: Duration::from_secs(1) },
            drain: Drain::default(),
            metrics: Arc::default(),
            admission: Arc::new(Admission::new(AdmissionLimits { client, waiting: 1 }, 1, clock.clone())),
            audit: Arc::new(AuditLog::open(AuditSettings::off(), clock).await.unwrap()),
            spans: None,
        };
        let call = Edge::answer(Routes::default(), Arc::new(parts), Request::new(Body::empty()));
        let octets = size_of_val(&call);
        assert!(octets <= 5 * 1024, "{octets} octets for each call, beside those of its method");
    }
}

//! The outermost service of the gRPC port.

use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use tonic::{Code, Status, body::Body};
use tower::Service;
use tracing::Instrument as _;

use super::{
    Drain, deadline, grpc_request,
    request_body::RequestBody,
    request_id::{self, RequestIds},
    unary::{self, ResponseBody},
};
use crate::{
    admission::Admission,
    audit::AuditLog,
    grpc::{
        RpcMetrics, Services,
        call::{CallContext, OpenCall},
        methods::MethodIndex,
        status::{self, CallError},
    },
    model::FromPeer,
    random::RandomError,
    spans::Spans,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The limits of a call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest duration of a call.
    pub request_timeout: Duration,
}

/// The outermost service of the gRPC port: request ids, audit, drain, timeouts, metrics and spans around every method.
#[derive(Debug, Clone)]
pub struct Edge(Arc<Shared>);

/// Shared by all calls.
#[derive(Debug)]
struct Shared {
    services: Services,
    parts: Arc<EdgeParts>,
    request_ids: RequestIds,
}

/// The dependencies of the edge.
#[derive(Debug)]
pub struct EdgeParts {
    /// The limits of a call.
    pub limits: Limits,
    /// Rejects calls when the server stops.
    pub drain: Drain,
    /// Counts calls.
    pub metrics: Arc<RpcMetrics>,
    /// The limits of clients and of concurrent calls.
    pub admission: Arc<Admission>,
    /// The audit log.
    pub audit: Arc<AuditLog>,
    /// Traces calls, if tracing is on.
    pub spans: Option<Arc<Spans>>,
}

impl Edge {
    /// Serves `services`.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(services: Services, parts: EdgeParts) -> Result<Self, RandomError> {
        let request_ids = RequestIds::new()?;
        Ok(Self(Arc::new(Shared { services, parts: Arc::new(parts), request_ids })))
    }
}

impl Shared {
    /// Handles a request: request id, metrics and spans around [`Self::serve`].
    async fn handle<B>(self: Arc<Self>, request: Request<B>) -> Result<Response<ResponseBody>, Infallible>
    where
        B: http_body::Body<Data = Bytes> + FromPeer + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let request_id = self.request_ids.of(request.headers());
        let method = MethodIndex::of(request.uri().path());
        let info = method.info();
        let began = Instant::now();
        if let Some(response) = grpc_request::reject(&request) {
            return Ok(Box::pin(self.reject(request, response, method, request_id, began)).await);
        }
        let trace = self.parts.spans.as_ref().and_then(|spans| spans.begin(request.headers(), info.path));
        let peer = request.body().peer().cloned();
        let call = CallContext::new(info, request_id, peer, trace, Arc::clone(&self.parts));
        let call = Arc::new(call);
        let mut response = {
            // Passed by reference: each future that took the request by value would reserve its size again.
            let mut request = Some(request);
            let served = pin!(self.serve(&call, method, &mut request, began));
            match call.trace() {
                Some(trace) => trace.run(served).await,
                None => served.await,
            }
        };
        let code = code(response.headers());
        if let Some(trace) = call.trace() {
            trace.end(code.into(), is_failure(code));
        }
        self.parts.metrics.observe(method, code, began.elapsed());
        response.headers_mut().insert(request_id::NAME, call.request_id().clone());
        Ok(response)
    }

    /// Sends the response to a request that is not a gRPC call, after the end of its body: an earlier response would reset the stream while
    /// the client still sends.
    async fn reject<B>(
        &self,
        request: Request<B>,
        mut response: Response<Body>,
        method: MethodIndex,
        request_id: http::HeaderValue,
        began: Instant,
    ) -> Response<ResponseBody>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
    {
        let mut body = request.into_body();
        tokio::select! {
            () = async { while let Some(Ok(_)) = body.frame().await {} } => {}
            () = tokio::time::sleep(self.parts.limits.request_timeout) => {}
            () = self.parts.drain.over() => {}
        }
        // gRPC clients report such a response as UNKNOWN.
        self.parts.metrics.observe(method, Code::Unknown, began.elapsed());
        response.headers_mut().insert(request_id::NAME, request_id);
        response.map(ResponseBody::Tonic)
    }

    /// Serves a call: audit outermost, then drain and timeout, then the method.
    async fn serve<B>(
        &self,
        call: &Arc<CallContext>,
        method: MethodIndex,
        request: &mut Option<Request<B>>,
        began: Instant,
    ) -> Response<ResponseBody>
    where
        B: http_body::Body<Data = Bytes> + FromPeer + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let parts = &self.parts;
        let max = parts.limits.request_timeout;
        let timeout = request.as_ref().map_or(max, |request| deadline::of(request.headers(), max));
        let open = OpenCall::begin(call);
        let outcome = async {
            if parts.drain.has_begun() {
                return Err(CallError::ShuttingDown);
            }
            if let Some(limit) = request.as_ref().and_then(|request| request.body().exceeded_metadata_limit())
            {
                return Err(CallError::MetadataTooLarge(limit));
            }
            // The router would ignore a query; a proxy in front that filters by path may not.
            if request.as_ref().is_some_and(|request| request.uri().query().is_some()) {
                return Err(CallError::MethodUnknown);
            }
            let served = pin!(self.method(call, method, request));
            tokio::select! {
                biased;
                response = tokio::time::timeout_at((began + timeout).into(), served) => response.unwrap_or(Err(CallError::DeadlineExceeded)),
                () = parts.drain.over() => Err(CallError::ShuttingDown),
            }
        };
        let response = match outcome.await {
            Ok(response) => response,
            Err(error) => error.into_status(call).into_http().map(ResponseBody::Tonic),
        };
        let Some(event) = open.end(code(response.headers())) else { return response };
        match parts.audit.write(event).await {
            Ok(()) => response,
            Err(error) => CallError::from(error).into_status(call).into_http().map(ResponseBody::Tonic),
        }
    }

    /// Runs the method: directly, if it is one of the most frequent, else through tonic.
    async fn method<B>(
        &self,
        call: &Arc<CallContext>,
        method: MethodIndex,
        request: &mut Option<Request<B>>,
    ) -> Result<Response<ResponseBody>, CallError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if Services::is_direct(method) {
            let request = request.as_mut().ok_or(CallError::Lost)?;
            let message = unary::read(request.body_mut(), self.services.max_message_bytes(method)).await?;
            let response = self.services.call_directly(call, method, request.headers(), message);
            return response.await.map(unary::response);
        }
        // Boxed, because this future is several times larger than those of the direct methods.
        let request = request.take().ok_or(CallError::Lost)?;
        Box::pin(self.call_tonic(call, request)).instrument(call.log_span().clone()).await
    }

    async fn call_tonic<B>(
        &self,
        call: &Arc<CallContext>,
        mut request: Request<B>,
    ) -> Result<Response<ResponseBody>, CallError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        request.extensions_mut().insert(Arc::clone(call));
        let request = request.map(|body| Body::new(RequestBody::new(Arc::clone(call), body)));
        let Ok(response) = self.services.routes().call(request).await;
        match status::from_tonic(response.headers()) {
            Some(error) => Err(error),
            None => Ok(response.map(ResponseBody::Tonic)),
        }
    }
}

/// The status code of a response, by its headers. A response without one there is a message or a stream, and OK so far.
fn code(headers: &HeaderMap) -> Code {
    headers.get(Status::GRPC_STATUS).map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

/// Whether OpenTelemetry's semantic conventions for gRPC count the code as an error of the server.
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
    B: http_body::Body<Data = Bytes> + FromPeer + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The router is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(Arc::clone(&self.0).handle(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Peer;

    impl FromPeer for Body {
        fn peer(&self) -> Option<&Peer> {
            None
        }
    }

    #[test]
    fn the_future_of_a_call_is_small() {
        const fn size<F>(_: &impl Fn(Arc<Shared>, Request<Body>) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = size(&Shared::handle::<Body>);
        assert!(bytes <= 3 * 1024, "{bytes} bytes for each call, without those of its method");
    }
}

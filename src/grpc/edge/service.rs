//! The service that stands before all methods.

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
    Drain, deadline, form,
    messages::Messages,
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

/// The bounds of a call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest that a call may take.
    pub request_timeout: Duration,
}

/// Stands before all methods.
#[derive(Debug, Clone)]
pub struct Edge(Arc<Shared>);

/// What all calls share.
#[derive(Debug)]
struct Shared {
    services: Services,
    parts: Arc<EdgeParts>,
    request_ids: RequestIds,
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
    /// Admits calls.
    pub admission: Arc<Admission>,
    /// Where calls leave their events.
    pub audit: Arc<AuditLog>,
    /// Begins the spans of calls that are traced; none: none is.
    pub spans: Option<Arc<Spans>>,
}

impl Edge {
    /// Puts itself before `services`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(services: Services, parts: EdgeParts) -> Result<Self, RandomError> {
        let request_ids = RequestIds::new()?;
        Ok(Self(Arc::new(Shared { services, parts: Arc::new(parts), request_ids })))
    }
}

impl Shared {
    /// One call from edge to edge: request id, metrics and spans around [the method](Self::serve).
    async fn answer<B>(self: Arc<Self>, request: Request<B>) -> Result<Response<ResponseBody>, Infallible>
    where
        B: http_body::Body<Data = Bytes> + FromPeer + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let request_id = self.request_ids.of(request.headers());
        let method = MethodIndex::of(request.uri().path());
        let info = method.info();
        let began = Instant::now();
        if let Some(response) = form::refuse(&request) {
            return Ok(Box::pin(self.refuse_form(request, response, method, request_id, began)).await);
        }
        let trace = self.parts.spans.as_ref().and_then(|spans| spans.begin(request.headers(), info.path));
        let peer = request.body().peer().cloned();
        let call = CallContext::new(info, request_id, peer, trace, Arc::clone(&self.parts));
        let call = Arc::new(call);
        let mut response = {
            // By reference: a future that takes it has room for it once more, and so has each future around that one.
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

    /// The response to a request that is no gRPC call, at the request's end: an earlier one would cross what its client still sends.
    async fn refuse_form<B>(
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
        // The code that a gRPC client makes of it.
        self.parts.metrics.observe(method, Code::Unknown, began.elapsed());
        response.headers_mut().insert(request_id::NAME, request_id);
        response.map(ResponseBody::Framework)
    }

    /// Serves a call. Outermost first: audit, drain and deadline, the method.
    async fn serve<B>(
        &self,
        call: &Arc<CallContext>,
        method: MethodIndex,
        request: &mut Option<Request<B>>,
        began: Instant,
    ) -> Response<ResponseBody>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let parts = &self.parts;
        let most = parts.limits.request_timeout;
        let time = request.as_ref().map_or(most, |request| deadline::of(request.headers(), most));
        let open = OpenCall::begin(call);
        let answered = async {
            if parts.drain.has_begun() {
                return Err(CallError::ShuttingDown);
            }
            // The router would pass over a query, and a proxy that allows paths might not.
            if request.as_ref().is_some_and(|request| request.uri().query().is_some()) {
                return Err(CallError::MethodUnknown);
            }
            let served = pin!(self.method(call, method, request));
            tokio::select! {
                biased;
                response = tokio::time::timeout_at((began + time).into(), served) => response.unwrap_or(Err(CallError::DeadlineExceeded)),
                () = parts.drain.over() => Err(CallError::ShuttingDown),
            }
        };
        let response = match answered.await {
            Ok(response) => response,
            Err(error) => error.into_status(call).into_http().map(ResponseBody::Framework),
        };
        let Some(event) = open.end(code(response.headers())) else { return response };
        match parts.audit.write(event).await {
            Ok(()) => response,
            Err(error) => CallError::from(error).into_status(call).into_http().map(ResponseBody::Framework),
        }
    }

    /// The method itself: directly, if it is one of those that are called most often, else by the framework.
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
        if Services::answers_directly(method) {
            let request = request.as_mut().ok_or(CallError::Lost)?;
            let message = unary::read(request.body_mut(), self.services.max_message_bytes(method)).await?;
            let answer = self.services.answer_directly(call, method, request.headers(), message);
            return answer.await.map(unary::response);
        }
        // Boxed, since it needs several times as much room as the direct methods.
        let request = request.take().ok_or(CallError::Lost)?;
        Box::pin(self.by_framework(call, request)).instrument(call.log_span().clone()).await
    }

    async fn by_framework<B>(
        &self,
        call: &Arc<CallContext>,
        mut request: Request<B>,
    ) -> Result<Response<ResponseBody>, CallError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        request.extensions_mut().insert(Arc::clone(call));
        let request = request.map(|body| Body::new(Messages::of(Arc::clone(call), body)));
        let Ok(response) = self.services.routes().call(request).await;
        match status::of_framework(response.headers()) {
            Some(error) => Err(error),
            None => Ok(response.map(ResponseBody::Framework)),
        }
    }
}

/// The code of a response whose headers are known. One that has none there is a stream or a message: OK so far.
fn code(headers: &HeaderMap) -> Code {
    headers.get(Status::GRPC_STATUS).map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
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
    B: http_body::Body<Data = Bytes> + FromPeer + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Routes are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(Arc::clone(&self.0).answer(request))
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
    fn what_is_kept_for_a_call_while_it_is_served_is_small() {
        const fn size<F>(_: &impl Fn(Arc<Shared>, Request<Body>) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = size(&Shared::answer::<Body>);
        assert!(bytes <= 3 * 1024, "{bytes} bytes for each call, beside those of its method");
    }
}

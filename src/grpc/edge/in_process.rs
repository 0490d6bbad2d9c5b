//! Calls of unary methods from within this process: the HTTP endpoints take the way of every gRPC call.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use prost::Message;
use tonic::Status;
use tower::Service as _;

use super::{Edge, request_id};
use crate::{
    grpc::{
        framing::{decode_response, encode},
        status::CallError,
    },
    model::{FromPeer, Peer},
};

/// The result of a call from within this process.
#[derive(Debug)]
pub struct InProcessResponse<M> {
    /// The message, or the status of the error.
    pub result: Result<M, Status>,
    /// The id of the call in the log.
    pub request_id: Option<HeaderValue>,
}

impl Edge {
    /// Calls the unary method at `path`, such as `/tokend.v1.TokenService/IssueToken`, as a gRPC client at `peer` with this `metadata`
    /// does: authentication, policy, limits, metrics, traces and audit are those of every call.
    pub async fn call_unary<Q: Message, M: Message + Default>(
        &self,
        path: &'static str,
        mut metadata: HeaderMap,
        peer: Option<Peer>,
        message: &Q,
    ) -> InProcessResponse<M> {
        metadata.insert(CONTENT_TYPE, const { HeaderValue::from_static("application/grpc") });
        let mut request = Request::new(RequestMessage { message: Some(encode(message)), peer });
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(path);
        *request.headers_mut() = metadata;
        let Ok(response) = self.clone().call(request).await;
        let (parts, body) = response.into_parts();
        let request_id = parts.headers.get(request_id::NAME).cloned();
        let failed = |headers: &HeaderMap| {
            Status::from_header_map(headers).filter(|status| status.code() != tonic::Code::Ok)
        };
        let result = match failed(&parts.headers) {
            Some(status) => Err(status),
            None => match body.collect().await {
                Err(status) => Err(status),
                Ok(body) => match body.trailers().and_then(failed) {
                    Some(status) => Err(status),
                    None => decode_response(body.to_bytes()).map_err(CallError::into_status_outside_calls),
                },
            },
        };
        InProcessResponse { result, request_id }
    }
}

/// The body of a request: one framed message.
struct RequestMessage {
    message: Option<Bytes>,
    peer: Option<Peer>,
}

/// Never the message: it may hold a token.
impl fmt::Debug for RequestMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestMessage").finish_non_exhaustive()
    }
}

impl FromPeer for RequestMessage {
    fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }
}

impl Body for RequestMessage {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.message.take().map(|message| Ok(Frame::data(message))))
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.message.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}

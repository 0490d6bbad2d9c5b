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
use http_body_util::{BodyExt as _, Full};
use prost::Message;
use tonic::{Code, Status};
use tower::Service as _;

use super::Edge;
use crate::{
    grpc::{
        framing::{decode_response, encode},
        status::CallError,
    },
    model::{FromPeer, Peer},
};

impl Edge {
    /// Calls the unary method at `path`, such as `/tokend.v1.TokenService/IssueToken`, as a gRPC client at `peer` with this `metadata`
    /// does: authentication, policy, limits, metrics, traces and audit are those of every call.
    ///
    /// # Errors
    /// The status of the method.
    pub async fn call_unary<Q: Message, M: Message + Default>(
        &self,
        path: &'static str,
        mut metadata: HeaderMap,
        peer: Option<Peer>,
        message: &Q,
    ) -> Result<M, Status> {
        metadata.insert(CONTENT_TYPE, const { HeaderValue::from_static("application/grpc") });
        let mut request = Request::new(RequestMessage { body: Full::new(encode(message)), peer });
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(path);
        *request.headers_mut() = metadata;
        let Ok(response) = self.clone().call(request).await;
        let (parts, body) = response.into_parts();
        let failed = |headers: &HeaderMap| match Status::from_header_map(headers) {
            Some(status) if status.code() != Code::Ok => Err(status),
            _ => Ok(()),
        };
        failed(&parts.headers)?;
        let body = body.collect().await?;
        body.trailers().map_or(Ok(()), failed)?;
        decode_response(body.to_bytes()).map_err(CallError::into_status_outside_calls)
    }
}

/// The body of a request: one framed message.
struct RequestMessage {
    body: Full<Bytes>,
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
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

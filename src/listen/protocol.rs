//! What is spoken on a connection, and its bounds.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::Watcher,
    service::TowerToHyperService,
};
use tower::Service;

use super::stream::Stream;

/// The octets that every client begins with (RFC 9113 section 3.4).
const PREFACE_LENGTH: usize = 24;

/// Serves one connection until its end.
pub trait Protocol: Clone + Send + 'static {
    /// Serves `stream`; `watcher` tells when to finish.
    #[expect(private_interfaces, reason = "streams are made and served on this floor only")]
    fn serve(self, stream: Stream, watcher: Watcher) -> impl Future<Output = ()> + Send;
}

/// The bounds of a gRPC connection.
#[derive(Debug, Clone, Copy)]
pub struct GrpcLimits {
    /// Calls at once on one connection.
    pub max_concurrent_streams: u32,
    /// Metadata of one call, in bytes.
    pub max_header_bytes: u32,
    /// A silent connection is asked for a sign of life after this time.
    pub keepalive_interval: Duration,
    /// And closed if none comes within this.
    pub keepalive_timeout: Duration,
}

/// gRPC over HTTP/2.
#[derive(Debug, Clone)]
pub struct Grpc<S> {
    builder: http2::Builder<TokioExecutor>,
    greeting_timeout: Duration,
    service: S,
}

impl<S> Grpc<S> {
    /// Serves `service` within `limits`; the preface that begins a connection must arrive within `greeting_timeout`.
    pub fn new(service: S, limits: GrpcLimits, greeting_timeout: Duration) -> Self {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_concurrent_streams)
            .max_header_list_size(limits.max_header_bytes)
            .keep_alive_interval(limits.keepalive_interval)
            .keep_alive_timeout(limits.keepalive_timeout)
            // Bounds what one stream or connection may send before it is read.
            .initial_stream_window_size(256 * 1024)
            .initial_connection_window_size(1024 * 1024)
            // Streams that are reset before they were answered: a flood ends the connection (CVE-2023-44487).
            .max_pending_accept_reset_streams(64);
        Self { builder, greeting_timeout, service }
    }
}

/// HTTP/1.1, for documents and probes.
#[derive(Debug, Clone)]
pub struct Http<S> {
    header_timeout: Duration,
    service: S,
}

impl<S> Http<S> {
    /// Serves `service`; a request's head must arrive within `header_timeout`.
    pub const fn new(service: S, header_timeout: Duration) -> Self {
        Self { header_timeout, service }
    }
}

impl<S, B> Protocol for Grpc<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    #[expect(private_interfaces, reason = "streams are made and served on this floor only")]
    async fn serve(self, stream: Stream, watcher: Watcher) {
        let service = TowerToHyperService::new(self.service);
        let heard = stream.heard();
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(watcher.watch(connection));
        // Until the preface is there, hyper neither pings nor heeds a shutdown: a connection that says nothing would keep
        // its slot for ever, and hold up a stop.
        let ended = match tokio::time::timeout(self.greeting_timeout, &mut connection).await {
            Ok(ended) => ended,
            Err(_elapsed) if heard.octets() < PREFACE_LENGTH => return,
            Err(_elapsed) => connection.await,
        };
        // How a connection ends is its client's business: resets and timeouts are no news.
        if let Err(error) = ended {
            tracing::debug!(%error, "gRPC connection ended");
        }
    }
}

impl<S, B> Protocol for Http<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    #[expect(private_interfaces, reason = "streams are made and served on this floor only")]
    async fn serve(self, stream: Stream, watcher: Watcher) {
        let service = TowerToHyperService::new(self.service);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "HTTP connection ended");
        }
    }
}

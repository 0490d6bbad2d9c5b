//! HTTP/1.1, for documents and probes.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tower::Service;

use super::{accept::Protocol, stop::Stop, stream::Stream};
use crate::model::Peer;

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

impl<S, B> Protocol for Http<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    #[expect(private_interfaces, reason = "streams are made and served on this floor only")]
    async fn serve(self, stream: Stream, _peer: Peer, mut stop: Stop) {
        let service = TowerToHyperService::new(self.service);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = stop.asked() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "HTTP connection ended");
        }
    }
}

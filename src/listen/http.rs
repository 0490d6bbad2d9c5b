//! HTTP/1.1 connections, for documents, probes and metrics.

use std::{convert::Infallible, pin::pin, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt as _};

use super::{
    accept::{Protocol, SHUTDOWN_IDLE_TIMEOUT},
    stream::{ByteCounts, Stream},
};
use crate::{
    clock::{Clock as _, SystemClock},
    model::{Peer, UnixTime},
};

/// Serves HTTP/1.1 connections.
#[derive(Debug, Clone)]
pub struct Http<S> {
    timeout: Duration,
    service: S,
}

impl<S> Http<S> {
    /// Serves `service`. The headers of a request must arrive within `timeout`; a response whose client does not read is dropped after
    /// `timeout`, or at the latest after twice as long.
    pub const fn new(service: S, timeout: Duration) -> Self {
        Self { timeout, service }
    }
}

impl<S, B> Protocol for Http<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    #[expect(private_interfaces, reason = "only this module makes and serves streams")]
    async fn serve(self, stream: Stream, peer: Peer, shutdown: CancellationToken) {
        let service = self.service.map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            request
        });
        let service = TowerToHyperService::new(service);
        let byte_counts = stream.byte_counts();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // hyper panics where the machine's clock is past the year 9999.
            .auto_date_header(SystemClock.now() < UnixTime::MAX)
            .header_read_timeout(self.timeout)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let mut stalled = pin!(stalled(self.timeout, &byte_counts));
        let mut cancelled = pin!(shutdown.cancelled());
        let mut is_shutting_down = false;
        let ended = loop {
            tokio::select! {
                ended = &mut connection => break ended,
                () = &mut cancelled, if !is_shutting_down => {
                    is_shutting_down = true;
                    // hyper waits for the rest of incomplete headers.
                    stalled.set(self::stalled(SHUTDOWN_IDLE_TIMEOUT, &byte_counts));
                    connection.as_mut().graceful_shutdown();
                }
                () = &mut stalled => return,
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "HTTP connection ended");
        }
    }
}

/// Resolves when nothing was read or written for `timeout`: hyper sets no limit to the time in which a client reads a response.
async fn stalled(timeout: Duration, byte_counts: &ByteCounts) {
    let mut before = byte_counts.total();
    loop {
        tokio::time::sleep(timeout).await;
        let now = byte_counts.total();
        if now == before {
            return;
        }
        before = now;
    }
}

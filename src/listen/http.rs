//! HTTP/1.1, for documents and probes.

use std::{convert::Infallible, pin::pin, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tower::Service;

use super::{
    accept::Protocol,
    stop::{LEAVE, Stop},
    stream::{Stream, Traffic},
};
use crate::{
    clock::{Clock as _, SystemClock},
    model::{Peer, UnixTime},
};

/// HTTP/1.1, for documents and probes.
#[derive(Debug, Clone)]
pub struct Http<S> {
    patience: Duration,
    service: S,
}

impl<S> Http<S> {
    /// Serves `service`. A request's head must arrive within `patience`, and so long at the most does an answer wait for a
    /// client that reads nothing of it: twice as long in the worst case.
    pub const fn new(service: S, patience: Duration) -> Self {
        Self { patience, service }
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
        let traffic = stream.traffic();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // hyper panics where the machine's clock is past the year 9999.
            .auto_date_header(SystemClock.now() < UnixTime::MAX)
            .header_read_timeout(self.patience)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let mut stalled = pin!(stalled(self.patience, &traffic));
        let mut stopping = false;
        let ended = loop {
            tokio::select! {
                ended = &mut connection => break ended,
                () = stop.asked(), if !stopping => {
                    stopping = true;
                    // A head that is not whole may never be.
                    stalled.set(self::stalled(LEAVE, &traffic));
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

/// Resolves when nothing was read or written for `patience`: hyper waits for ever until its client reads an answer.
async fn stalled(patience: Duration, traffic: &Traffic) {
    let mut seen = traffic.progress();
    loop {
        tokio::time::sleep(patience).await;
        let now = traffic.progress();
        if now == seen {
            return;
        }
        seen = now;
    }
}

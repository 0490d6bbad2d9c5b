//! gRPC connections (HTTP/2), and their lifetime.

use std::{convert::Infallible, future::poll_fn, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{
    accept::{Protocol, SHUTDOWN_IDLE_TIMEOUT},
    activity::Activity,
    executor::CallExecutor,
    instrument::{InstrumentedService, RequestBody},
    memory::CallMemory,
    metrics::ListenMetrics,
    resets::ResetScanner,
    stream::Stream,
};
use crate::{model::Peer, random};

/// Bytes of the connection preface (RFC 9113 section 3.4).
const PREFACE_BYTES: usize = 24;

/// Limits of a gRPC connection.
#[derive(Debug, Clone, Copy)]
pub struct GrpcLimits {
    /// Concurrent calls on one connection.
    pub max_concurrent_streams: u32,
    /// Metadata of one call, in bytes.
    pub max_header_bytes: u32,
    /// A connection without traffic for this time is pinged.
    pub keepalive_interval: Duration,
    /// A ping must be answered within this time.
    pub keepalive_timeout: Duration,
    /// The lifetime of a connection.
    pub lifetime: Lifetime,
}

/// The lifetime of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// A connection without progress for this time is shut down, after twice as long at the latest.
    pub idle_timeout: Duration,
    /// An older connection is shut down. The age varies by a tenth, so that connections opened together do not reconnect together.
    /// It also bounds how long a client certificate is accepted after its authority was removed.
    pub max_age: Duration,
    /// The calls of a connection that is shut down for age or idleness must end within this time.
    pub grace: Duration,
}

/// Serves gRPC over HTTP/2.
#[derive(Debug, Clone)]
pub struct Grpc<S> {
    limits: GrpcLimits,
    preface_timeout: Duration,
    memory: Arc<CallMemory>,
    metrics: Arc<ListenMetrics>,
    service: S,
}

impl<S> Grpc<S> {
    /// Serves `service` within `limits`, and within `memory` for all connections. Counts resets in `metrics`. The connection preface must
    /// arrive within `preface_timeout`.
    pub const fn new(
        service: S,
        limits: GrpcLimits,
        memory: Arc<CallMemory>,
        metrics: Arc<ListenMetrics>,
        preface_timeout: Duration,
    ) -> Self {
        Self { limits, preface_timeout, memory, metrics, service }
    }
}

impl GrpcLimits {
    fn builder(&self, executor: CallExecutor) -> http2::Builder<CallExecutor> {
        let mut builder = http2::Builder::new(executor);
        builder
            .timer(TokioTimer::new())
            // gRPC has no use for it, and hyper panics where the machine's clock is past the year 9999.
            .auto_date_header(false)
            .max_concurrent_streams(self.max_concurrent_streams)
            // h2 answers a larger list with HTTP 431, which gRPC clients report as an unknown error. The service rejects a list up to
            // twice the limit with an error that names the limit.
            .max_header_list_size(self.max_header_bytes.saturating_mul(2))
            .keep_alive_interval(self.keepalive_interval)
            .keep_alive_timeout(self.keepalive_timeout)
            // Bytes that a stream or connection may receive before they are read. Messages are small, and read at once.
            .initial_stream_window_size(64 * 1024)
            .initial_connection_window_size(256 * 1024)
            // Bytes that wait for a client that does not read.
            .max_send_buf_size(64 * 1024)
            // Streams that are reset before hyper has accepted them: more end the connection (CVE-2023-44487). `Activity` counts
            // those that are reset later.
            .max_pending_accept_reset_streams(64);
        builder
    }
}

impl<S, B> Protocol for Grpc<S>
where
    S: Service<Request<RequestBody<Incoming>>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + Unpin,
    B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    #[expect(private_interfaces, reason = "only this module makes and serves streams")]
    async fn serve(self, mut stream: Stream, peer: Peer, shutdown: CancellationToken) {
        let activity = Arc::new(Activity::default());
        let memory = self.memory.source(peer.address);
        let service = InstrumentedService {
            service: self.service,
            peer,
            activity: Arc::clone(&activity),
            memory,
            max_header_bytes: self.limits.max_header_bytes,
        };
        stream.scan_resets(ResetScanner::new(self.metrics));
        let byte_counts = stream.byte_counts();
        let executor = CallExecutor::default();
        let builder = self.limits.builder(executor.clone());
        let lifetime = self.limits.lifetime;
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut connection = pin!(connection);
        let mut preface = pin!(tokio::time::sleep(self.preface_timeout));
        let mut end_of_life = pin!(end_of_life(lifetime, &activity));
        let mut grace = pin!(sleep_until(never()));
        let mut cancelled = pin!(shutdown.cancelled());
        let (mut idle_check, mut bytes_before) = (pin!(sleep_until(never())), 0);
        let (mut has_preface, mut is_ending, mut is_shutting_down) = (false, false, false);
        let ended = loop {
            tokio::select! {
                ended = poll_fn(|context| executor.poll(connection.as_mut(), context)) => break ended,
                () = &mut preface, if !has_preface => {
                    // Before the preface has arrived, hyper neither pings nor shuts down gracefully.
                    if byte_counts.read() < PREFACE_BYTES {
                        return;
                    }
                    has_preface = true;
                }
                () = &mut cancelled, if !is_shutting_down => {
                    if byte_counts.read() < PREFACE_BYTES {
                        return;
                    }
                    is_shutting_down = true;
                    idle_check.as_mut().reset(Instant::now() + SHUTDOWN_IDLE_TIMEOUT);
                    connection.as_mut().graceful_shutdown();
                }
                // hyper waits for the client to acknowledge, which may never happen.
                () = &mut idle_check, if is_shutting_down => {
                    let bytes = byte_counts.total();
                    if !activity.has_open_calls() && bytes == bytes_before {
                        return;
                    }
                    bytes_before = bytes;
                    idle_check.as_mut().reset(Instant::now() + SHUTDOWN_IDLE_TIMEOUT);
                }
                () = &mut end_of_life, if !is_ending => {
                    is_ending = true;
                    grace.as_mut().reset(Instant::now() + lifetime.grace);
                    connection.as_mut().graceful_shutdown();
                }
                () = &mut grace, if is_ending => return,
                () = activity.abuse() => {
                    tracing::info!("connection closed: the client reset too many streams");
                    return;
                }
            }
        };
        // Resets and timeouts are ordinary.
        if let Err(error) = ended {
            tracing::debug!(%error, "gRPC connection ended");
        }
    }
}

/// Resolves when the connection has reached its age, or was idle for too long.
async fn end_of_life(lifetime: Lifetime, activity: &Activity) {
    let mut age = pin!(sleep_until(Instant::now() + with_jitter(lifetime.max_age)));
    let mut before = activity.progress();
    loop {
        tokio::select! {
            () = &mut age => return,
            () = tokio::time::sleep(lifetime.idle_timeout) => {
                let now = activity.progress();
                if now == before {
                    return;
                }
                before = now;
            }
        }
    }
}

/// Varies the age by up to a tenth.
fn with_jitter(age: Duration) -> Duration {
    let [byte] = random::bytes::<1>().unwrap_or([128]);
    age.mul_f64(0.9 + 0.2 * f64::from(byte) / 255.0)
}

/// An instant after the end of any connection.
fn never() -> Instant {
    Instant::now() + Duration::from_secs(30 * 365 * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_vary_by_up_to_a_tenth() {
        let ages: Vec<u64> = (0..200).map(|_| with_jitter(Duration::from_secs(1000)).as_secs()).collect();
        assert!(ages.iter().all(|age| (900..=1100).contains(age)), "{ages:?}");
        assert!(ages.iter().any(|age| *age < 960) && ages.iter().any(|age| *age > 1040), "{ages:?}");
    }
}

//! gRPC over HTTP/2, and how long a connection lives.

use std::{convert::Infallible, future::poll_fn, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::time::{Instant, sleep_until};
use tower::Service;

use super::{
    accept::Protocol,
    activity::Activity,
    calls::Calls,
    counted::{Counted, Question},
    memory::CallMemory,
    stop::{LEAVE, Stop},
    stream::Stream,
};
use crate::{model::Peer, random};

/// The octets that every client begins with (RFC 9113 section 3.4).
const PREFACE_LENGTH: usize = 24;

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
    /// How long it lives.
    pub lifetime: Lifetime,
}

/// How long a connection lives.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// A connection on which nothing goes on for this time is closed: within twice the time at the latest.
    pub idle_timeout: Duration,
    /// An older connection is closed, give or take a tenth: else all that were opened together would come back together.
    /// It is also how long a client certificate is trusted after its authority was taken off the server's list.
    pub max_age: Duration,
    /// How long the calls on a connection that is being closed may go on.
    pub grace: Duration,
}

/// gRPC over HTTP/2.
#[derive(Debug, Clone)]
pub struct Grpc<S> {
    limits: GrpcLimits,
    greeting_timeout: Duration,
    memory: Arc<CallMemory>,
    service: S,
}

impl<S> Grpc<S> {
    /// Serves `service` within `limits`, and within `memory` for all calls; the preface that begins a connection must arrive
    /// within `greeting_timeout`.
    pub const fn new(
        service: S,
        limits: GrpcLimits,
        memory: Arc<CallMemory>,
        greeting_timeout: Duration,
    ) -> Self {
        Self { limits, greeting_timeout, memory, service }
    }
}

impl GrpcLimits {
    fn builder(&self, calls: Calls) -> http2::Builder<Calls> {
        let mut builder = http2::Builder::new(calls);
        builder
            .timer(TokioTimer::new())
            // gRPC has no use for it, and hyper panics where the machine's clock is past the year 9999.
            .auto_date_header(false)
            .max_concurrent_streams(self.max_concurrent_streams)
            .max_header_list_size(self.max_header_bytes)
            .keep_alive_interval(self.keepalive_interval)
            .keep_alive_timeout(self.keepalive_timeout)
            // Bounds what one stream or connection may send before it is read. Messages are small, and read at once.
            .initial_stream_window_size(64 * 1024)
            .initial_connection_window_size(256 * 1024)
            // And what waits for a client that does not read.
            .max_send_buf_size(64 * 1024)
            // Streams that are reset before they were looked at: a flood ends the connection (CVE-2023-44487). Those
            // that are reset later are counted in `activity.rs`.
            .max_pending_accept_reset_streams(64);
        builder
    }
}

impl<S, B> Protocol for Grpc<S>
where
    S: Service<Request<Question<Incoming>>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + Unpin,
    B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    #[expect(private_interfaces, reason = "streams are made and served on this floor only")]
    async fn serve(self, stream: Stream, peer: Peer, mut stop: Stop) {
        let activity = Arc::new(Activity::default());
        let memory = self.memory.share(peer.address);
        let service = Counted { service: self.service, peer, activity: Arc::clone(&activity), memory };
        let traffic = stream.traffic();
        let calls = Calls::default();
        let builder = self.limits.builder(calls.clone());
        let lifetime = self.limits.lifetime;
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut connection = pin!(connection);
        let mut greeting = pin!(tokio::time::sleep(self.greeting_timeout));
        let mut end = pin!(end(lifetime, &activity));
        let mut grace = pin!(sleep_until(far()));
        let (mut leave, mut moved) = (pin!(sleep_until(far())), 0);
        let (mut greeted, mut ending, mut stopping) = (false, false, false);
        let ended = loop {
            tokio::select! {
                ended = poll_fn(|context| calls.serve(connection.as_mut(), context)) => break ended,
                () = &mut greeting, if !greeted => {
                    // Until the preface is there, hyper neither pings nor heeds a shutdown: a connection that says nothing
                    // would keep its place for ever.
                    if traffic.read() < PREFACE_LENGTH {
                        return;
                    }
                    greeted = true;
                }
                () = stop.asked(), if !stopping => {
                    if traffic.read() < PREFACE_LENGTH {
                        return;
                    }
                    stopping = true;
                    leave.as_mut().reset(Instant::now() + LEAVE);
                    connection.as_mut().graceful_shutdown();
                }
                // hyper waits for its client's word, which may never come.
                () = &mut leave, if stopping => {
                    let now = traffic.progress();
                    if !activity.is_open() && now == moved {
                        return;
                    }
                    moved = now;
                    leave.as_mut().reset(Instant::now() + LEAVE);
                }
                () = &mut end, if !ending => {
                    ending = true;
                    grace.as_mut().reset(Instant::now() + lifetime.grace);
                    connection.as_mut().graceful_shutdown();
                }
                () = &mut grace, if ending => return,
                () = activity.abuse() => {
                    tracing::info!("connection closed: its client took back far more calls than it let be answered");
                    return;
                }
            }
        };
        // How a connection ends is its client's business: resets and timeouts are no news.
        if let Err(error) = ended {
            tracing::debug!(%error, "gRPC connection ended");
        }
    }
}

/// Resolves when the connection is too old, or has been idle for too long.
async fn end(lifetime: Lifetime, activity: &Activity) {
    let mut age = pin!(sleep_until(Instant::now() + jittered(lifetime.max_age)));
    let mut seen = activity.progress();
    loop {
        tokio::select! {
            () = &mut age => return,
            () = tokio::time::sleep(lifetime.idle_timeout) => {
                let now = activity.progress();
                if now == seen {
                    return;
                }
                seen = now;
            }
        }
    }
}

/// Give or take a tenth.
fn jittered(age: Duration) -> Duration {
    let [octet] = random::bytes::<1>().unwrap_or([128]);
    age.mul_f64(0.9 + 0.2 * f64::from(octet) / 255.0)
}

/// As far away as no connection lives.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(30 * 365 * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_differ_by_up_to_a_tenth() {
        let ages: Vec<u64> = (0..200).map(|_| jittered(Duration::from_secs(1000)).as_secs()).collect();
        assert!(ages.iter().all(|age| (900..=1100).contains(age)), "{ages:?}");
        assert!(ages.iter().any(|age| *age < 960) && ages.iter().any(|age| *age > 1040), "{ages:?}");
    }
}

//! The accept loop of one port.

use std::{io, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{net::UnixStream, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    connection_limits::{ConnectionLimiter, ConnectionLimits, LimitReached},
    listener::{Connection, Listener},
    metrics::{ListenMetrics, Refused},
    stream::Stream,
    tls::{PortTls, peer_certificate},
};
use crate::model::{Peer, UnixPeer};

/// The delay after the first failure to accept a connection for want of file descriptors or memory; it doubles from there.
const FIRST_DELAY: Duration = Duration::from_millis(5);
const MAX_DELAY: Duration = Duration::from_secs(1);

/// A connection without traffic is dropped this long after a graceful shutdown began.
pub(super) const SHUTDOWN_IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves one connection.
pub trait Protocol: Clone + Send + 'static {
    /// Serves `stream` until it ends, and shuts it down gracefully when `shutdown` is cancelled.
    #[expect(private_interfaces, reason = "only this module makes and serves streams")]
    fn serve(
        self,
        stream: Stream,
        peer: Peer,
        shutdown: CancellationToken,
    ) -> impl Future<Output = ()> + Send;
}

/// Accepts and serves the connections of one port.
pub struct Acceptor<P> {
    /// The bound port.
    pub listener: Listener,
    /// The protocol of its connections.
    pub protocol: P,
    /// TLS; none: plaintext, as always on a Unix socket.
    pub tls: Option<PortTls>,
    /// TLS handshake timeout.
    pub handshake_timeout: Duration,
    /// Open connections.
    pub limits: ConnectionLimits,
    /// The port's metrics.
    pub metrics: Arc<ListenMetrics>,
}

impl<P: Protocol> Acceptor<P> {
    /// Accepts connections until `shutdown` is cancelled, and then waits until the open ones have shut down gracefully. Dropping the
    /// future drops all connections.
    pub async fn run(self, shutdown: CancellationToken) {
        let limiter = ConnectionLimiter::new(self.limits);
        let mut connections = JoinSet::new();
        let mut backoff = Backoff::default();
        let mut cancelled = pin!(shutdown.cancelled());
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut cancelled => break,
                Some(_) = connections.join_next() => {
                    self.metrics.set_open(limiter.count());
                    continue;
                }
                accepted = self.listener.accept() => accepted,
            };
            let (connection, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    let delay = backoff.failed(&error, &self.metrics);
                    tokio::select! {
                        biased;
                        () = &mut cancelled => break,
                        () = tokio::time::sleep(delay) => continue,
                    }
                }
            };
            backoff.succeeded();
            match limiter.acquire(address) {
                Ok(permit) => {
                    self.metrics.set_open(limiter.count());
                    let served = self.serve(connection, address, shutdown.clone());
                    connections.spawn(async move {
                        served.await;
                        drop(permit);
                    });
                }
                Err(reached) => self.refuse(reached, address),
            }
        }
        // The port is closed while the connections end.
        drop(self);
        while connections.join_next().await.is_some() {}
    }

    /// Shakes hands and serves the connection.
    fn serve(
        &self,
        connection: Connection,
        address: IpAddr,
        shutdown: CancellationToken,
    ) -> impl Future<Output = ()> + use<P> {
        let (protocol, tls, metrics) = (self.protocol.clone(), self.tls.clone(), Arc::clone(&self.metrics));
        let handshake = handshake(connection, address, tls, self.handshake_timeout);
        async move {
            // A connection in its handshake has no call in flight.
            match shutdown.run_until_cancelled(handshake).await {
                Some(Some((stream, peer))) => protocol.serve(stream, peer, shutdown).await,
                Some(None) => {
                    metrics.refuse(Refused::Handshake);
                }
                None => {}
            }
        }
    }

    /// Counts and logs a connection that is closed at once.
    fn refuse(&self, reached: LimitReached, address: IpAddr) {
        let (reason, setting) = match reached {
            LimitReached::Total => (Refused::Full, "max_connections"),
            LimitReached::PerSource => (Refused::SourceFull, "max_connections_per_source"),
        };
        // The 1st, 2nd, 4th, 8th ...: a flood must not fill the log.
        if self.metrics.refuse(reason).is_power_of_two() {
            tracing::warn!(source = %address, setting, "connection limit reached; new connections are closed at once");
        }
    }
}

/// Delays between failures to accept.
#[derive(Default)]
struct Backoff {
    delay: Option<Duration>,
    /// Number of times that accepting began to fail.
    outages: u64,
}

impl Backoff {
    /// Counts and logs the error, and returns the delay before the next connection is accepted.
    fn failed(&mut self, error: &io::Error, metrics: &ListenMetrics) -> Duration {
        if is_connection_error(error) {
            return Duration::ZERO;
        }
        metrics.refuse(Refused::Exhausted);
        if self.delay.is_none() {
            self.outages += 1;
            // As rarely as refused connections: where descriptors are scarce, outages come and go with each connection.
            if self.outages.is_power_of_two() {
                tracing::warn!(%error, times = self.outages, "connections cannot be accepted");
            }
        }
        let delay = self.delay.map_or(FIRST_DELAY, |delay| (2 * delay).min(MAX_DELAY));
        self.delay = Some(delay);
        delay
    }

    fn succeeded(&mut self) {
        if self.delay.take().is_some() && self.outages.is_power_of_two() {
            tracing::info!("connections are accepted again");
        }
    }
}

/// Whether the error concerns the accepted connection alone, so that the next one may succeed.
fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

async fn handshake(
    connection: Connection,
    address: IpAddr,
    tls: Option<PortTls>,
    timeout: Duration,
) -> Option<(Stream, Peer)> {
    let connection = match connection {
        Connection::Tcp(connection) => connection,
        Connection::Unix(connection) => return unix_peer(connection, address),
    };
    // Responses are small, and must not wait for more data.
    let _ = connection.set_nodelay(true);
    let address = address.to_canonical();
    let Some(tls) = tls else {
        return Some((Stream::plain(connection), Peer { address, certificate: None, unix: None }));
    };
    match tokio::time::timeout(timeout, tls.acceptor().accept(connection)).await {
        Ok(Ok(stream)) => {
            let certificate = peer_certificate(stream.get_ref().1).map(Arc::new);
            Some((Stream::tls(stream), Peer { address, certificate, unix: None }))
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, source = %address, "TLS handshake failed");
            None
        }
        Err(_elapsed) => None,
    }
}

/// The stream and the peer of a Unix socket. The kernel recorded the peer's user and group when it connected.
fn unix_peer(connection: UnixStream, address: IpAddr) -> Option<(Stream, Peer)> {
    match connection.peer_cred() {
        Ok(process) => {
            let unix = Some(UnixPeer { uid: process.uid(), gid: process.gid() });
            Some((Stream::unix(connection), Peer { address, certificate: None, unix }))
        }
        Err(error) => {
            tracing::debug!(%error, "the peer of the Unix socket is unknown");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_second_and_restart_after_a_success() {
        let (mut backoff, metrics) = (Backoff::default(), ListenMetrics::default());
        let no_files = || io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        for expected in [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            assert_eq!(backoff.failed(&no_files(), &metrics), Duration::from_millis(expected));
        }
        // A client that left before its connection was accepted causes no delay.
        assert_eq!(backoff.failed(&io::ErrorKind::ConnectionAborted.into(), &metrics), Duration::ZERO);
        backoff.succeeded();
        assert_eq!(backoff.failed(&no_files(), &metrics), FIRST_DELAY);
        assert_eq!(metrics.refuse(Refused::Exhausted), 12, "every failure is counted");
        assert_eq!(backoff.outages, 2);
    }
}

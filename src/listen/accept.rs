//! The accept loop.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    admission::{Admission, ConnectionCaps, Full},
    metrics::{ListenMetrics, Refused},
    stop::{Stop, Stopper},
    stream::Stream,
    tls::{TlsUse, peer_certificate},
};
use crate::model::Peer;

/// How long the loop rests at first when the system has no file or memory for another connection.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// And at the longest: the pause doubles.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Serves one connection until its end.
pub trait Protocol: Clone + Send + 'static {
    /// Serves `stream` for `peer`; `stop` tells when to finish.
    #[expect(private_interfaces, reason = "streams are made and served on this floor only")]
    fn serve(self, stream: Stream, peer: Peer, stop: Stop) -> impl Future<Output = ()> + Send;
}

/// Accepts connections on one listener.
pub struct Acceptor<P> {
    /// Where they come in.
    pub listener: TcpListener,
    /// What is spoken.
    pub protocol: P,
    /// TLS, or none.
    pub tls: Option<TlsUse>,
    /// The longest that a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// Connections at once.
    pub caps: ConnectionCaps,
    /// Where it is counted.
    pub metrics: Arc<ListenMetrics>,
}

/// The connections that are left when no other is accepted.
pub struct Connections {
    stopper: Stopper,
    tasks: JoinSet<()>,
}

impl<P: Protocol> Acceptor<P> {
    /// Accepts connections until `stop` resolves, and answers those that are open then.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Connections {
        let stopper = Stopper::new();
        let admission = Admission::new(self.caps);
        let mut tasks = JoinSet::new();
        let mut pauses = Pauses::default();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = tasks.join_next() => {
                    self.metrics.set_open(admission.count());
                    continue;
                }
                accepted = self.listener.accept() => accepted,
            };
            let (connection, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    let pause = pauses.after(&error, &self.metrics);
                    tokio::select! {
                        biased;
                        () = &mut stop => break,
                        () = tokio::time::sleep(pause) => continue,
                    }
                }
            };
            pauses.over();
            let place = match admission.admit(address.ip()) {
                Ok(place) => place,
                Err(full) => {
                    self.refuse(full, address);
                    continue;
                }
            };
            self.metrics.set_open(admission.count());
            let (protocol, tls, mut stop) = (self.protocol.clone(), self.tls.clone(), stopper.listener());
            let (handshake_timeout, metrics) = (self.handshake_timeout, Arc::clone(&self.metrics));
            tasks.spawn(async move {
                let secured = tokio::select! {
                    secured = secure(connection, address.ip(), tls, handshake_timeout) => secured,
                    // Nothing has been asked on it yet.
                    () = stop.asked() => return,
                };
                match secured {
                    Some((stream, peer)) => protocol.serve(stream, peer, stop).await,
                    None => {
                        metrics.refuse(Refused::Handshake);
                    }
                }
                drop(place);
            });
        }
        Connections { stopper, tasks }
    }

    /// The connection is closed by being dropped.
    fn refuse(&self, full: Full, address: SocketAddr) {
        let (refused, setting) = match full {
            Full::All => (Refused::Full, "max_connections"),
            Full::Source => (Refused::SourceFull, "max_connections_per_source"),
        };
        // At the first, the second, the fourth and so on: a flood must not fill the log.
        if self.metrics.refuse(refused).is_power_of_two() {
            tracing::warn!(source = %address.ip(), setting, "connections are closed at once: there are too many");
        }
    }
}

impl Connections {
    /// Tells each connection to finish what it is serving and to close, and waits until all have.
    pub async fn finish(self) {
        let Self { stopper, mut tasks } = self;
        stopper.stop();
        while tasks.join_next().await.is_some() {}
    }
}

/// The rests after failures to accept.
#[derive(Default)]
struct Pauses {
    last: Option<Duration>,
    /// How often it has begun to fail.
    begun: u64,
}

impl Pauses {
    /// How long to wait after `error` before the next connection is accepted.
    fn after(&mut self, error: &io::Error, metrics: &ListenMetrics) -> Duration {
        if is_of_one_connection(error) {
            return Duration::ZERO;
        }
        metrics.refuse(Refused::Exhausted);
        if self.last.is_none() {
            self.begun += 1;
            // As seldom as refusals are told: where files are scarce, they come and go with each connection.
            if self.begun.is_power_of_two() {
                tracing::warn!(%error, times = self.begun, "no connection can be accepted");
            }
        }
        let pause = self.last.map_or(FIRST_PAUSE, |last| (2 * last).min(LONGEST_PAUSE));
        self.last = Some(pause);
        pause
    }

    fn over(&mut self) {
        if self.last.take().is_some() && self.begun.is_power_of_two() {
            tracing::info!("connections can be accepted again");
        }
    }
}

/// Whether the error is about the connection that would have been accepted, so that the next may well succeed.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// The connection's octets, and who is at its other end.
async fn secure(
    connection: TcpStream,
    address: IpAddr,
    tls: Option<TlsUse>,
    timeout: Duration,
) -> Option<(Stream, Peer)> {
    // Replies are small and wanted at once.
    let _ = connection.set_nodelay(true);
    let address = address.to_canonical();
    let Some(tls) = tls else {
        return Some((Stream::plain(connection), Peer { address, certificate: None }));
    };
    match tokio::time::timeout(timeout, tls.acceptor().accept(connection)).await {
        Ok(Ok(stream)) => {
            let certificate = peer_certificate(stream.get_ref().1).map(Arc::new);
            Some((Stream::tls(stream), Peer { address, certificate }))
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, source = %address, "TLS handshake failed");
            None
        }
        Err(_elapsed) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_to_a_second_while_there_are_no_files_and_begin_anew() {
        let (mut pauses, metrics) = (Pauses::default(), ListenMetrics::default());
        let no_files = || io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        for expected in [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            assert_eq!(pauses.after(&no_files(), &metrics), Duration::from_millis(expected));
        }
        // One that went away before it was accepted is no reason to rest.
        assert_eq!(pauses.after(&io::ErrorKind::ConnectionAborted.into(), &metrics), Duration::ZERO);
        pauses.over();
        assert_eq!(pauses.after(&no_files(), &metrics), FIRST_PAUSE);
        assert_eq!(metrics.refuse(Refused::Exhausted), 12, "each is counted");
        assert_eq!(pauses.begun, 2, "and each time that it begins");
    }
}

//! The accept loop.

use std::{future::Future, io, sync::Arc, time::Duration};

use hyper_util::server::graceful::GracefulShutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{Protocol, stream::Stream};

/// How long the loop rests when the system has no file or memory for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections on one listener.
pub struct Acceptor<P> {
    /// Where they come in.
    pub listener: TcpListener,
    /// What is spoken.
    pub protocol: P,
    /// TLS, or none.
    pub tls: Option<TlsAcceptor>,
    /// The longest that a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// Connections at once. Further ones wait in the system's queue.
    pub max_connections: usize,
}

/// The connections that are left when no other is accepted.
pub struct Connections {
    graceful: GracefulShutdown,
    tasks: JoinSet<()>,
}

impl<P: Protocol> Acceptor<P> {
    /// Accepts connections until `stop` resolves, and answers those that are open then.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Connections {
        let graceful = GracefulShutdown::new();
        let slots = Arc::new(Semaphore::new(self.max_connections));
        let mut tasks = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = tasks.join_next() => continue,
                accepted = next(&self.listener, &slots) => accepted,
            };
            let Some((connection, slot)) = accepted else { continue };
            let (protocol, tls, watcher) = (self.protocol.clone(), self.tls.clone(), graceful.watcher());
            let handshake_timeout = self.handshake_timeout;
            tasks.spawn(async move {
                if let Some(stream) = secure(connection, tls, handshake_timeout).await {
                    protocol.serve(stream, watcher).await;
                }
                drop(slot);
            });
        }
        Connections { graceful, tasks }
    }
}

impl Connections {
    /// Tells each connection to finish what it is serving and to close, and waits until all have.
    pub async fn finish(self) {
        let Self { graceful, mut tasks } = self;
        graceful.shutdown().await;
        while tasks.join_next().await.is_some() {}
    }
}

/// The next connection, with its slot; nothing when accepting failed.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((connection, _)) => {
            // Replies are small and wanted at once.
            let _ = connection.set_nodelay(true);
            Some((connection, slot))
        }
        Err(error) => {
            if !is_of_one_connection(&error) {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
            None
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

async fn secure(connection: TcpStream, tls: Option<TlsAcceptor>, timeout: Duration) -> Option<Stream> {
    let Some(tls) = tls else { return Some(Stream::plain(connection)) };
    match tokio::time::timeout(timeout, tls.accept(connection)).await {
        Ok(Ok(stream)) => Some(Stream::tls(stream)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
        Err(_elapsed) => None,
    }
}

//! Serves, and stops in order.

use std::{io, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{RunError, Server};
use crate::{
    http::NotReady,
    listen::{Acceptor, ConnectionLimits, Grpc, Http, ListenMetrics, Listener, PortTls, UnixSocket},
};

/// Scrapers are few; their connections use file descriptors that are reserved for the process.
const METRICS_CONNECTIONS: ConnectionLimits = ConnectionLimits { total: 8, per_source: 8 };

/// How long responses have to leave after `drain_timeout`.
const LAST_RESPONSES: Duration = Duration::from_secs(1);

/// How long the audit log has to write its queue.
const LAST_EVENTS: Duration = Duration::from_secs(5);

/// How long the store has to delete this replica's report, and to close.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// How long the collector has to take the last spans.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// The bound ports.
#[derive(Debug)]
pub struct Listeners {
    /// gRPC.
    pub grpc: TcpListener,
    /// HTTP.
    pub http: TcpListener,
    /// Metrics, if they have a port of their own.
    pub metrics: Option<TcpListener>,
    /// gRPC on a Unix socket.
    pub grpc_socket: Option<UnixSocket>,
}

impl Server {
    /// Serves on `listeners` until `shutdown` resolves, then stops in order:
    /// 1. Health and readiness report "not serving". Calls are still accepted for `drain_delay`, so that load balancers notice.
    /// 2. New calls are refused, and calls in flight have `drain_timeout` to complete.
    /// 3. Remaining calls return UNAVAILABLE, the audit log is written to its end, the store is closed, and the last spans are sent.
    ///
    /// # Errors
    /// When a port fails.
    pub async fn run(self, listeners: Listeners, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let addresses = self.addresses(&listeners).map_err(|error| RunError(error.to_string()))?;
        let socket = listeners.grpc_socket.as_ref().map(|socket| socket.path().display().to_string());
        let stop = CancellationToken::new();
        let (ports, scrapes) = self.serve(listeners, &stop);
        let background = self.start_background().await;
        self.readiness.set(NotReady::Starting, false);
        self.health.report(|| self.readiness.is_ready()).await;
        let [grpc, http, metrics] = addresses;
        tracing::info!(grpc, http, metrics, grpc_socket = socket, "serving");
        shutdown.await;

        self.readiness.set(NotReady::ShuttingDown, true);
        self.health.report(|| self.readiness.is_ready()).await;
        let (delay, timeout) = (self.serving.drain_delay, self.serving.drain_timeout);
        tracing::info!("stopping: not ready");
        tracing::info!(
            ?delay,
            ?timeout,
            "stopping: waits drain_delay for load balancers to notice, then up to drain_timeout for calls to complete; \
             a second signal ends it at once"
        );
        tokio::time::sleep(delay).await;
        tracing::info!("stopping: completing the calls in flight");
        self.drain.begin();
        stop.cancel();
        self.complete_calls(ports).await?;
        drop((background, scrapes));
        self.close().await;
        tracing::info!("stopped");
        Ok(())
    }

    /// The addresses of gRPC, HTTP and the metrics, for the log.
    fn addresses(&self, listeners: &Listeners) -> io::Result<[String; 3]> {
        let (grpc, http) =
            (listeners.grpc.local_addr()?.to_string(), listeners.http.local_addr()?.to_string());
        let metrics = match &listeners.metrics {
            Some(listener) => listener.local_addr()?.to_string(),
            None if self.serving.metrics_on_http => http.clone(),
            None => "not served: set metrics_addr".to_owned(),
        };
        Ok([grpc, http, metrics])
    }

    /// Starts to serve the ports: those that close after `stop`, and that of the metrics, which is open until the end.
    fn serve(&self, listeners: Listeners, stop: &CancellationToken) -> (JoinSet<()>, JoinSet<()>) {
        let serving = &self.serving;
        let [grpc_metrics, http_metrics, metrics_metrics, socket_metrics] = self.port_metrics.clone();
        let call_memory = self.call_memory.clone();
        let grpc = |listener: Listener, tls, limits, metrics: Arc<ListenMetrics>| Acceptor {
            listener,
            protocol: Grpc::new(
                self.edge.clone(),
                serving.connections,
                call_memory.clone(),
                metrics.clone(),
                serving.handshake_timeout,
            ),
            tls,
            handshake_timeout: serving.handshake_timeout,
            limits,
            metrics,
        };
        let http = |listener: TcpListener, routes: &axum::Router, limits, metrics| Acceptor {
            listener: listener.into(),
            protocol: Http::new(routes.clone(), serving.handshake_timeout),
            tls: self.tls.clone().filter(|_| serving.http_tls).map(PortTls::Http),
            handshake_timeout: serving.handshake_timeout,
            limits,
            metrics,
        };
        let (mut ports, mut scrapes) = (JoinSet::new(), JoinSet::new());
        let tls = self.tls.clone().map(PortTls::Grpc);
        let port = grpc(listeners.grpc.into(), tls, serving.grpc_connections, grpc_metrics);
        ports.spawn(port.run(stop.clone()));
        if let Some(socket) = listeners.grpc_socket {
            let port = grpc(socket.into(), None, serving.grpc_socket_connections, socket_metrics);
            ports.spawn(port.run(stop.clone()));
        }
        ports.spawn(
            http(listeners.http, &self.http, serving.http_connections, http_metrics).run(stop.clone()),
        );
        if let Some(listener) = listeners.metrics {
            let port = http(listener, &self.metrics, METRICS_CONNECTIONS, metrics_metrics);
            scrapes.spawn(port.run(CancellationToken::new()));
        }
        (ports, scrapes)
    }

    /// Reports this replica to the others, and starts to follow the store and the TLS files.
    async fn start_background(&self) -> JoinSet<()> {
        let serving = &self.serving;
        let first = self.follower.round().await;
        if let Err(error) = &first {
            tracing::warn!(%error, "the store cannot be followed; serving from memory");
        }
        let mut background = JoinSet::new();
        background.spawn(self.follower.clone().run(serving.refresh_interval, first.is_err()));
        background.spawn(self.responses.clone().remove_expired(serving.refresh_interval));
        if let Some(tls) = self.tls.clone() {
            background.spawn(tls.run(serving.tls_check_interval));
        }
        background
    }

    /// Waits for the calls in flight, up to `drain_timeout`. Then ends them, and waits a moment for their responses to leave. What is
    /// still open then is dropped.
    async fn complete_calls(&self, mut ports: JoinSet<()>) -> Result<(), RunError> {
        let ended = async {
            while let Some(ended) = ports.join_next().await {
                ended.map_err(|error| RunError(error.to_string()))?;
            }
            Ok(())
        };
        let mut ended = std::pin::pin!(ended);
        if let Ok(ended) = tokio::time::timeout(self.serving.drain_timeout, &mut ended).await {
            return ended;
        }
        tracing::warn!("stopping: calls were still in flight at the end of drain_timeout");
        self.drain.end();
        tokio::time::timeout(LAST_RESPONSES, &mut ended).await.unwrap_or(Ok(()))
    }

    /// Closes the audit log, the store and the traces, each within its time.
    async fn close(self) {
        self.audit.close(LAST_EVENTS).await;
        let close_store = async {
            if let Err(error) = self.state.key_manager.deregister().await {
                tracing::debug!(%error, "the report of this replica was not deleted");
            }
            self.state.store.close().await;
        };
        if tokio::time::timeout(LAST_WRITES, close_store).await.is_err() {
            tracing::warn!("the store was not closed in time");
        }
        if let Some(traces) = self.traces {
            traces.close(LAST_SPANS).await;
        }
    }
}

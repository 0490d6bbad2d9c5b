//! Serving, and stopping in order.

use std::future::Future;

use tokio::{net::TcpListener, sync::watch};

use super::{Server, Serving};
use crate::{
    http::NotReady,
    listen::{Acceptor, ConnectionCaps, Connections, Grpc, Http, TlsUse},
};

/// The ports, bound already.
#[derive(Debug)]
pub struct Listeners {
    /// gRPC.
    pub grpc: TcpListener,
    /// HTTP.
    pub http: TcpListener,
    /// The metrics, if they have a port of their own.
    pub metrics: Option<TcpListener>,
}

/// Serving ended other than by the shutdown.
#[derive(Debug, thiserror::Error)]
#[error("the server ended unexpectedly: {0}")]
pub struct RunError(String);

impl Server {
    /// Serves on `listeners` until `shutdown` resolves, then stops in order:
    /// 1. health and readiness say "not serving", while calls are still taken for `drain_delay`, so that balancers notice;
    /// 2. no call is begun any more, and those that are being served have `drain_timeout` to finish;
    /// 3. what is left is answered with UNAVAILABLE, the audit log is written to its end, the store is closed, and the last
    ///    spans are sent.
    ///
    /// # Errors
    /// When an accept loop ends by itself, which it never should.
    pub async fn run(self, listeners: Listeners, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self {
            serving,
            store,
            key_manager,
            follower,
            tls,
            call_memory,
            port_metrics: [grpc_metrics, http_metrics, metrics_metrics],
            edge,
            audit,
            traces,
            drain,
            health,
            readiness,
            http,
            metrics,
            responses,
            ..
        } = self;
        let failed = |error: std::io::Error| RunError(error.to_string());
        let grpc_addr = listeners.grpc.local_addr().map_err(failed)?;
        let http_addr = listeners.http.local_addr().map_err(failed)?;
        let (stop, stopped) = watch::channel(false);
        let grpc = Acceptor {
            listener: listeners.grpc,
            protocol: Grpc::new(edge, serving.connections, call_memory, serving.handshake_timeout),
            tls: tls.clone().map(TlsUse::Grpc),
            handshake_timeout: serving.handshake_timeout,
            caps: serving.grpc_connections,
            metrics: grpc_metrics,
        };
        let on_http = |listener, routes, caps, metrics| Acceptor {
            listener,
            protocol: Http::new(routes, serving.handshake_timeout),
            tls: tls.clone().filter(|_| serving.http_tls).map(TlsUse::Http),
            handshake_timeout: serving.handshake_timeout,
            caps,
            metrics,
        };
        let metrics_addr = match &listeners.metrics {
            Some(listener) => listener.local_addr().map_err(failed)?.to_string(),
            None if serving.metrics_on_http => http_addr.to_string(),
            None => "not served: set metrics_addr".to_owned(),
        };
        let metrics_port = listeners
            .metrics
            .map(|listener| on_http(listener, metrics, METRICS_CONNECTIONS, metrics_metrics));
        let http = on_http(listeners.http, http, serving.http_connections, http_metrics);
        let grpc = tokio::spawn(grpc.run(until(stopped.clone())));
        let http = tokio::spawn(http.run(until(stopped)));
        // Scrapes are answered while the server drains too, and are not waited for.
        let scraping = metrics_port.map(|port| tokio::spawn(port.run(std::future::pending())));
        // The other replicas are to know of this one before it is asked anything.
        let first = follower.round().await;
        if let Err(error) = &first {
            tracing::warn!(%error, "the store cannot be followed; serving from memory");
        }
        let following = tokio::spawn(follower.run(serving.refresh_interval, first.is_err()));
        let forgetting = tokio::spawn(responses.remove_expired(serving.refresh_interval));
        let watching_files = tls.map(|tls| tokio::spawn(tls.run(serving.tls_check_interval)));

        readiness.set(NotReady::Starting, false);
        health.report(|| readiness.is_ready()).await;
        tracing::info!(grpc = %grpc_addr, http = %http_addr, metrics = metrics_addr, "serving");
        shutdown.await;

        readiness.set(NotReady::ShuttingDown, true);
        health.report(|| readiness.is_ready()).await;
        tracing::info!("stopping: not ready");
        let (delay, timeout) = (serving.drain_delay, serving.drain_timeout);
        tracing::info!(
            ?delay,
            ?timeout,
            "stopping: waits drain_delay for load balancers to notice, then up to drain_timeout for calls to finish; \
             a second signal ends it at once"
        );
        tokio::time::sleep(serving.drain_delay).await;

        tracing::info!("stopping: finishing the calls that are being served");
        drain.begin();
        stop.send_replace(true);
        let failed = |error: tokio::task::JoinError| RunError(error.to_string());
        let (grpc, http) = (grpc.await.map_err(failed)?, http.await.map_err(failed)?);
        finish(grpc, http, &serving, || drain.end()).await;

        following.abort();
        forgetting.abort();
        if let Some(watching_files) = watching_files {
            watching_files.abort();
        }
        if let Some(scraping) = scraping {
            scraping.abort();
        }
        audit.close(LAST_EVENTS).await;
        // A store that hangs must not keep the process from stopping.
        let leave = async {
            if let Err(error) = key_manager.deregister().await {
                tracing::debug!(%error, "the other replicas were not told that this one stops");
            }
            store.close().await;
        };
        if tokio::time::timeout(LAST_WRITES, leave).await.is_err() {
            tracing::warn!("the store was not closed in time");
        }
        if let Some(traces) = traces {
            traces.close(LAST_SPANS).await;
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Waits for the connections, up to the bound; then has their calls answered, and waits a last moment for the answers to
/// leave. What is still open then (a stream that nobody ends) is dropped.
async fn finish(grpc: Connections, http: Connections, serving: &Serving, end_calls: impl FnOnce()) {
    let all = async { tokio::join!(grpc.finish(), http.finish()) };
    let mut all = std::pin::pin!(all);
    if tokio::time::timeout(serving.drain_timeout, &mut all).await.is_ok() {
        return;
    }
    tracing::warn!("stopping: calls were still being served at the end of drain_timeout");
    end_calls();
    let _ = tokio::time::timeout(LAST_MOMENT, &mut all).await;
}

/// Scrapers are few; the files for their connections are among those kept for the process itself.
const METRICS_CONNECTIONS: ConnectionCaps = ConnectionCaps { all: 8, of_one_source: 8 };

/// How long the audit log has for what still waits.
const LAST_EVENTS: std::time::Duration = std::time::Duration::from_secs(5);

/// How long the store has to take back what this replica reported, and to close.
const LAST_WRITES: std::time::Duration = std::time::Duration::from_secs(2);

/// How long the collector has for the last spans.
const LAST_SPANS: std::time::Duration = std::time::Duration::from_secs(2);

/// How long answers have to leave after the drain's end.
const LAST_MOMENT: std::time::Duration = std::time::Duration::from_secs(1);

async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender is dropped only when serving has ended, which is a stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

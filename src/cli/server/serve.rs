//! `tokend serve`: a production server.

use std::{net::SocketAddr, pin::pin, sync::Arc};

use clap::Args;
use tokio::net::TcpListener;

use super::{SettingFlags, signals};
use crate::{
    cli::error::CliError,
    clock::SystemClock,
    config::{Config, Metrics},
    listen::UnixSocket,
    server::{Listeners, Server},
    telemetry::init_logs,
};

#[derive(Args)]
#[command(
    after_help = "Each setting is taken from its flag, else its variable, else its key in the file, else its default.

Examples:
  tokend serve --config /etc/tokend/tokend.toml
  TOKEND_ISSUER=https://id.example.com TOKEND_STORE=postgres://… TOKEND_SEALING_KEY_FILE=/run/secrets/sealing-key \\
    tokend serve --tls-cert-file tls.crt --tls-key-file tls.key

`tokend init` creates a sealing key, a configuration and a first client. SIGTERM drains and exits with 0; a second signal
exits immediately. SIGHUP reloads the TLS files, which tokend also checks every second."
)]
pub(in crate::cli) struct Serve {
    #[command(flatten)]
    settings: SettingFlags,
}

impl Serve {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let resolved = self.settings.resolve();
        let config = resolved.config()?;
        let _logs = init_logs(&config.log, config.log_format).map_err(CliError::failed)?;
        for problem in resolved.warnings() {
            tracing::warn!(problem, "a setting may be misspelt");
        }
        for problem in resolved.exposed_files() {
            tracing::warn!(problem, "other users can read a secret");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(serve(config));
        // A thread that reads from a disk that hangs never ends.
        runtime.shutdown_timeout(signals::THREAD_TIMEOUT);
        served
    }
}

async fn serve(config: Config) -> Result<(), CliError> {
    signals::ignore_file_size_signal()?;
    let mut shutdown = pin!(signals::shutdown()?);
    let mut hangups = signals::hangups()?;
    // The ports first, so that a second instance fails before it opens the store.
    let listeners = Listeners {
        grpc: bind("grpc_addr", config.grpc_addr).await?,
        http: bind("http_addr", config.http_addr).await?,
        metrics: match config.metrics {
            Metrics::At(address) => Some(bind("metrics_addr", address).await?),
            Metrics::Off | Metrics::WithHttp => None,
        },
        grpc_socket: match &config.grpc_socket {
            Some(socket) => Some(UnixSocket::bind(socket).await.map_err(CliError::failed)?),
            None => None,
        },
    };
    let (issuer, store) = (config.settings.discovery.issuer.clone(), config.settings.store.clone());
    let tls = config.settings.tls.is_some();
    let opening = Server::open(config.within_open_files(), Arc::new(SystemClock));
    let server = tokio::select! {
        opened = opening => opened.map_err(CliError::failed)?,
        () = &mut shutdown => {
            tracing::info!("stopped before serving");
            return Ok(());
        }
    };
    let files = server.tls();
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            if let Some(files) = files.clone() {
                let _ = tokio::task::spawn_blocking(move || files.reload()).await;
            }
        }
    });
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %issuer, %store, tls, "starting");
    server.run(listeners, shutdown).await.map_err(CliError::failed)
}

/// Binds a port. The error names the setting.
pub(super) async fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|error| {
        let flag = setting.replace('_', "-");
        CliError::failed(format!(
            "{setting}: cannot listen on {address}: {error}; give another address with --{flag}"
        ))
    })
}

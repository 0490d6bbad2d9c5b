//! `tokend serve`: production.

use std::{net::SocketAddr, pin::pin, sync::Arc};

use clap::Args;
use tokio::net::TcpListener;

use super::{config, failure::Failure, setting_flags::SettingFlags, signals};
use crate::{
    clock::SystemClock,
    config::{Config, Metrics, Transport},
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

`tokend init` makes a sealing key, a configuration and a first client. SIGTERM drains and ends with 0; a second
signal ends at once. SIGHUP has the TLS files looked at, as is done every second anyhow."
)]
pub(super) struct Serve {
    #[command(flatten)]
    settings: SettingFlags,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        let resolved = self.settings.resolve();
        let config = resolved.config().map_err(|problems| config::refused(&problems))?;
        let _logs =
            init_logs(&config.log, config.log_format).map_err(|error| Failure::refused(error.to_string()))?;
        for problem in resolved.warnings() {
            tracing::warn!(problem, "a setting may be misspelt");
        }
        for problem in resolved.exposed_files() {
            tracing::warn!(problem, "a secret is readable by others");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(serve(config));
        // A thread that reads a file whose disk hangs never ends.
        runtime.shutdown_timeout(signals::LAST_MOMENT);
        served
    }
}

async fn serve(config: Config) -> Result<(), Failure> {
    signals::outlive_the_longest_file()?;
    let mut shutdown = pin!(signals::shutdown()?);
    let mut hangups = signals::hangups()?;
    // The ports first: a second instance by mistake is to fail before it touches the store.
    let listeners = Listeners {
        grpc: bind("grpc_addr", config.grpc_addr).await?,
        http: bind("http_addr", config.http_addr).await?,
        metrics: match config.metrics {
            Metrics::At(address) => Some(bind("metrics_addr", address).await?),
            Metrics::Off | Metrics::WithHttp => None,
        },
    };
    let (issuer, store) = (config.issuer.clone(), config.store.clone());
    let tls = config.transport != Transport::Plaintext;
    let opening = Server::open(config.into(), Arc::new(SystemClock));
    let server = tokio::select! {
        opened = opening => opened.map_err(|error| Failure::refused(error.to_string()))?,
        () = &mut shutdown => {
            tracing::info!("stopped before it served");
            return Ok(());
        }
    };
    let files = server.tls();
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            if let Some(files) = files.clone() {
                let _ = tokio::task::spawn_blocking(move || files.check()).await;
            }
        }
    });
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %issuer, %store, tls, "starting");
    server.run(listeners, shutdown).await.map_err(|error| Failure::refused(error.to_string()))
}

/// Binds a port; the error names the setting.
pub(super) async fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let flag = setting.replace('_', "-");
        Failure::refused(format!(
            "{setting}: cannot listen on {address}: {error}; give another address with --{flag}"
        ))
    })
}

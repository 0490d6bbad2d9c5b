//! `tokend dev`: the first minute.

use std::{
    collections::HashMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use tonic::{Request, transport::Endpoint};
use zeroize::Zeroizing;

use super::{
    config,
    connection::authorization,
    dev_banner::Banner,
    failure::Failure,
    output::{print, talk},
    private_file,
    profile::Profile,
    remote::answer,
    serve::bind,
    signals,
};
use crate::{
    clock::SystemClock,
    config::{Config, Inputs},
    keys::{SealingKey, parse_local_keys},
    model::{ClientId, ClientSecret, ClientSettings, Pattern, Permissions, Ttl},
    proto::v1::{IssueTokenRequest, token_service_client::TokenServiceClient},
    server::{Listeners, Server},
    store::Location,
    telemetry::init_logs,
};

/// The client that may do everything.
const CLIENT: &str = "dev";

/// Shorter ones are typed by accident.
const SHORTEST_SECRET: usize = 8;

/// Longer ones are refused by the server.
const LONGEST_SECRET: usize = 512;

#[derive(Args)]
#[command(after_help = "Examples:
  tokend dev
  tokend dev --data tokend.db                 # keeps keys and clients
  tokend dev --secret dev-secret --grpc-addr 127.0.0.1:0 --http-addr 127.0.0.1:0

For trying things out: plaintext, on this machine only, with one client that may do everything. `tokend serve` is for
production.")]
pub(super) struct Dev {
    /// Keep the state in this SQLite file, sealed under FILE.sealing-key beside it [default: in memory]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// The secret of the client `dev`: any text of 8 characters or more [default: a fresh one]
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,
    /// Where gRPC is served, on a loopback address; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:50051")]
    grpc_addr: SocketAddr,
    /// Where HTTP is served, on a loopback address; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    http_addr: SocketAddr,
    /// Algorithms to keep a signing key for, with commas between them; the first is the default
    #[arg(long, value_name = "NAMES", default_value = "ES256")]
    algorithms: String,
    /// A file with an HS256, HS384 or HS512 secret shared with other services, as base64url
    #[arg(long, value_name = "FILE")]
    shared_secret_file: Option<String>,
    /// What is logged
    #[arg(long, value_name = "FILTER", default_value = "warn,tokend::grpc::status=info")]
    log: String,
}

impl Dev {
    pub(super) fn run(self, started: Instant) -> Result<(), Failure> {
        for (flag, address) in [("--grpc-addr", self.grpc_addr), ("--http-addr", self.http_addr)] {
            if !address.ip().is_loopback() {
                return Err(Failure::usage(format!(
                    "{flag}: `tokend dev` serves this machine only, and {} is no loopback address; use `tokend serve`",
                    address.ip()
                )));
            }
        }
        let length = self.secret.as_deref().map(|secret| (secret.chars().count(), secret.len()));
        if length.is_some_and(|(characters, bytes)| characters < SHORTEST_SECRET || bytes > LONGEST_SECRET) {
            return Err(Failure::usage(format!(
                "--secret: must have at least {SHORTEST_SECRET} characters, and at most {LONGEST_SECRET} bytes"
            )));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(self.serve(started));
        runtime.shutdown_timeout(signals::LAST_MOMENT);
        served
    }

    async fn serve(self, started: Instant) -> Result<(), Failure> {
        signals::outlive_the_longest_file()?;
        let shutdown = signals::shutdown()?;
        let listeners = Listeners {
            grpc: bind("grpc_addr", self.grpc_addr).await?,
            http: bind("http_addr", self.http_addr).await?,
            metrics: None,
        };
        let (grpc, http) = (listeners.grpc.local_addr()?, listeners.http.local_addr()?);
        let config = self.config(grpc, http)?;
        let _logs =
            init_logs(&config.log, config.log_format).map_err(|error| Failure::refused(error.to_string()))?;
        let (issuer, jwks_uri) = (config.issuer.clone(), config.jwks_uri.clone());
        let server = Server::open(config.into(), Arc::new(SystemClock)).await.map_err(refused)?;
        let secret = server
            .put_client(client_id()?, everything(), self.secret.map(ClientSecret::from_text))
            .await
            .map_err(refused)?;
        let key_id = server.default_key_id();
        let profile = Profile {
            addr: format!("http://{grpc}"),
            client_id: CLIENT.to_owned(),
            client_secret: secret.reveal().to_owned(),
            http_addr: http.to_string(),
        };
        let written = profile.write();
        // Before it drains: a second signal ends the process at once.
        let leaving = async move {
            shutdown.await;
            profile.remove();
        };
        let mut serving = tokio::spawn(server.run(listeners, leaving));

        let banner = Banner {
            grpc,
            http,
            issuer,
            jwks_uri,
            key_id: key_id.map(|key_id| key_id.to_string()).unwrap_or_default(),
            client_id: CLIENT,
            authorization: authorization(CLIENT, secret.reveal()),
            token: sample(grpc, &authorization(CLIENT, secret.reveal())).await?,
            secret: secret.clone(),
        };
        // On a thread of its own: a stdout or stderr whose reader is stalled must not keep the server from stopping.
        let printing = tokio::task::spawn_blocking(move || {
            print(&banner.text())?;
            if let Err(problem) = written {
                talk(&format!(
                    "warning: other tokend commands will not find this server by themselves: {problem}"
                ));
            }
            print(&format!("ready in {} ms", started.elapsed().as_millis()))
        });
        tokio::select! {
            served = &mut serving => return served.map_err(refused)?.map_err(refused),
            printed = printing => printed.map_err(refused)??,
        }
        serving.await.map_err(refused)?.map_err(refused)
    }

    /// The settings of `serve` with their defaults, and what is different here.
    fn config(&self, grpc: SocketAddr, http: SocketAddr) -> Result<Config, Failure> {
        let sealing_key = match &self.data {
            Some(data) => sealing_key(&beside(data))?,
            None => SealingKey::generate().map_err(refused)?.to_text(),
        };
        let flags = [
            ("issuer", format!("http://{http}")),
            ("grpc_addr", grpc.to_string()),
            ("http_addr", http.to_string()),
            // They are reachable from this machine alone.
            ("metrics_addr", http.to_string()),
            // `serve` refuses a store in memory; where it is to be one, it is put in below.
            ("store", format!("sqlite:{}", self.data.as_deref().unwrap_or(Path::new("dev")).display())),
            ("algorithms", self.algorithms.clone()),
            ("allow_plaintext", "true".to_owned()),
            ("drain_delay", "0s".to_owned()),
            ("drain_timeout", "1s".to_owned()),
            // What it prints is for the one who tries it out.
            ("audit_mode", "off".to_owned()),
            ("log", self.log.clone()),
        ];
        let mut flags: HashMap<&'static str, String> = flags.into_iter().collect();
        if let Some(path) = &self.shared_secret_file {
            flags.insert("shared_secret", path.clone());
        }
        let variables = [("TOKEND_SEALING_KEY".into(), sealing_key.as_str().into())].into_iter().collect();
        let resolved = Inputs { flags, variables, file: None }.resolve();
        let mut config = resolved.config().map_err(|problems| config::refused(&problems))?;
        config.store = match &self.data {
            Some(data) => Location::Sqlite(data.clone()),
            None => Location::Memory,
        };
        Ok(config)
    }
}

/// The sealing key's file for a data file.
fn beside(data: &Path) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push(".sealing-key");
    PathBuf::from(name)
}

/// Reads the sealing keys at `path`, or makes one there. One that is there is never overwritten: it is all that opens the
/// keys sealed under it.
pub(super) fn sealing_key(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: io::Error| Failure::refused(format!("sealing key {}: {error}", path.display()));
    let key = SealingKey::generate().map_err(refused)?.to_text();
    match private_file::create(path, &format!("{}\n", *key)) {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
            parse_local_keys(&text)
                .map(|_| text)
                .map_err(|error| Failure::refused(format!("sealing key {}: {error}", path.display())))
        }
        Err(error) => Err(failed(error)),
    }
}

fn client_id() -> Result<ClientId, Failure> {
    ClientId::parse(CLIENT).map_err(refused)
}

fn everything() -> ClientSettings {
    let any = || vec![Pattern::any()];
    ClientSettings {
        display_name: "made by tokend dev".to_owned(),
        permissions: Permissions {
            methods: any(),
            audiences: any(),
            scopes: any(),
            subjects: any(),
            claims: any(),
            max_ttl: Ttl::from_minutes(24 * 60),
            // `*` lets it name any audience; its own one is what it asks about when it names none.
            verify_audiences: [CLIENT, "*"]
                .into_iter()
                .filter_map(|text| Pattern::parse(text).ok())
                .collect(),
            login_usernames: any(),
            revoke_subjects: any(),
            revoke_clients: any(),
            exchange_subjects: any(),
            exchange_audiences: any(),
            exchange_issuers: any(),
            verify_issuers: any(),
            exchange_actors: any(),
            admin_clients: any(),
            impersonate: true,
            ..Permissions::default()
        },
        default_audiences: vec![CLIENT.to_owned()],
        ..ClientSettings::default()
    }
}

/// A real token by a real call: what the banner says works, works.
async fn sample(grpc: SocketAddr, authorization: &str) -> Result<String, Failure> {
    let channel = Endpoint::from_shared(format!("http://{grpc}"))
        .map_err(refused)?
        .timeout(Duration::from_secs(10))
        .connect()
        .await
        .map_err(refused)?;
    let mut request = Request::new(IssueTokenRequest {
        subject: "alice".to_owned(),
        audiences: vec!["orders".to_owned()],
        scopes: vec!["read".to_owned()],
        ttl: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
        ..IssueTokenRequest::default()
    });
    request.metadata_mut().insert("authorization", authorization.parse().map_err(refused)?);
    Ok(answer(TokenServiceClient::new(channel).issue_token(request).await)?.access_token)
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::refused(error.to_string())
}

//! `tokend dev`: a development server.

use std::{
    collections::HashMap,
    env, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use rustix::process::geteuid;
use tonic::{Request, transport::Endpoint};
use zeroize::Zeroizing;

use super::{banner::Banner, serve::bind, signals};
use crate::{
    cli::{
        connection::{Profile, authorization, response},
        error::CliError,
        output::{message, print},
        private_file,
    },
    clock::SystemClock,
    config::{Config, Inputs},
    files,
    http::Discovery,
    keys::{SealingKey, parse_local_keys},
    listen::{UnixSocket, UnixSocketSettings, is_socket_path},
    model::{
        Authentication, AuthenticationMethod, ClientId, ClientSecret, ClientSettings, Pattern, Permissions,
        Ttl, UnixIds,
    },
    proto::v1::{IssueTokenRequest, token_service_client::TokenServiceClient},
    server::{Listeners, Server},
    store::{Location, OpenOptions},
    telemetry::init_logs,
};

/// The client with all permissions.
const CLIENT: &str = "dev";

/// A shorter secret is probably a typing error.
const SHORTEST_SECRET: usize = 8;

/// The server rejects longer secrets.
const LONGEST_SECRET: usize = 512;

#[derive(Args)]
#[command(after_help = "Examples:
  tokend dev
  tokend dev --data tokend.db                 # keeps keys and clients
  tokend dev --secret dev-secret --grpc-addr 127.0.0.1:0 --http-addr 127.0.0.1:0

For development: plaintext, on this machine only, with one client that has all permissions. Use `tokend serve` in
production.")]
pub(in crate::cli) struct Dev {
    /// Keep the state in this SQLite file, encrypted with the sealing key in FILE.sealing-key [default: in memory]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Set the secret of the client `dev`, with 8 characters or more [default: a random secret]
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,
    /// Serve gRPC on this loopback address; port 0 selects a free port
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:50051")]
    grpc_addr: SocketAddr,
    /// Serve HTTP on this loopback address; port 0 selects a free port
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    http_addr: SocketAddr,
    /// Keep a signing key for these algorithms, separated by commas; the first is the default
    #[arg(long, value_name = "NAMES", default_value = "ES256")]
    algorithms: String,
    /// Read an HS256, HS384 or HS512 secret that other services share from this file, as base64url
    #[arg(long, value_name = "FILE")]
    shared_secret_file: Option<String>,
    /// Set the log level or filter
    #[arg(long, value_name = "FILTER", default_value = "warn,tokend::grpc::status=info")]
    log: String,
}

impl Dev {
    pub(in crate::cli) fn run(self, started: Instant) -> Result<(), CliError> {
        for (flag, address) in [("--grpc-addr", self.grpc_addr), ("--http-addr", self.http_addr)] {
            if !address.ip().is_loopback() {
                return Err(CliError::usage(format!(
                    "{flag}: `tokend dev` serves this machine only, and {} is no loopback address; use `tokend serve`",
                    address.ip()
                )));
            }
        }
        let length = self.secret.as_deref().map(|secret| (secret.chars().count(), secret.len()));
        if length.is_some_and(|(characters, bytes)| characters < SHORTEST_SECRET || bytes > LONGEST_SECRET) {
            return Err(CliError::usage(format!(
                "--secret: must have at least {SHORTEST_SECRET} characters, and at most {LONGEST_SECRET} bytes"
            )));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(self.serve(started));
        runtime.shutdown_timeout(signals::THREAD_TIMEOUT);
        served
    }

    async fn serve(self, started: Instant) -> Result<(), CliError> {
        signals::ignore_file_size_signal()?;
        let shutdown = signals::shutdown()?;
        let mut listeners = Listeners {
            grpc: bind("grpc_addr", self.grpc_addr).await?,
            http: bind("http_addr", self.http_addr).await?,
            metrics: None,
            grpc_socket: None,
        };
        let (grpc, http) = (listeners.grpc.local_addr()?, listeners.http.local_addr()?);
        let mut config = self.config(grpc, http)?;
        config.grpc_socket = socket_settings(grpc);
        let mut socket_problem = None;
        if let Some(settings) = &config.grpc_socket {
            let bound = UnixSocket::bind(settings).await;
            listeners.grpc_socket = bound.map_err(|error| socket_problem = Some(error)).ok();
        }
        let socket = listeners.grpc_socket.as_ref().map(|socket| socket.path().display().to_string());
        let _logs =
            init_logs(&config.log, config.log_format).map_err(|error| CliError::failed(error.to_string()))?;
        let Discovery { issuer, jwks_uri, .. } = config.settings.discovery.clone();
        let server = Server::open(config.within_open_files(), Arc::new(SystemClock))
            .await
            .map_err(CliError::failed)?;
        let client = ClientSettings { authentication: authentication(socket.is_some()), ..everything() };
        let secret = server
            .put_client(client_id()?, client, self.secret.map(ClientSecret::from_text))
            .await
            .map_err(CliError::failed)?;
        let key_id = server.default_key_id();
        let profile = Profile {
            addr: format!("http://{grpc}"),
            client_id: CLIENT.to_owned(),
            client_secret: secret.reveal().to_owned(),
            http_addr: http.to_string(),
            grpc_socket: socket.clone(),
        };
        let written = profile.write();
        // Before the server drains, because a second signal ends the process immediately.
        let leaving = async move {
            shutdown.await;
            profile.remove();
        };
        let mut serving = tokio::spawn(server.run(listeners, leaving));

        let banner = Banner {
            grpc,
            socket,
            http,
            issuer,
            jwks_uri,
            key_id: key_id.map(|key_id| key_id.to_string()).unwrap_or_default(),
            client_id: CLIENT,
            authorization: authorization(CLIENT, secret.reveal()),
            token: sample(grpc, &authorization(CLIENT, secret.reveal())).await?,
            secret: secret.clone(),
        };
        // On a thread of its own, because a stalled reader of stdout or stderr must not block the shutdown.
        let printing = tokio::task::spawn_blocking(move || {
            print(&banner.text())?;
            if let Some(problem) = socket_problem {
                message(&format!("warning: no Unix socket: {problem}"));
            }
            if let Err(problem) = written {
                message(&format!("warning: other tokend commands will not find this server: {problem}"));
            }
            print(&format!("ready in {} ms", started.elapsed().as_millis()))
        });
        tokio::select! {
            served = &mut serving => return served.map_err(CliError::failed)?.map_err(CliError::failed),
            printed = printing => printed.map_err(CliError::failed)??,
        }
        serving.await.map_err(CliError::failed)?.map_err(CliError::failed)
    }

    /// The defaults of `tokend serve`, except for a few settings.
    fn config(&self, grpc: SocketAddr, http: SocketAddr) -> Result<Config, CliError> {
        let sealing_key = match &self.data {
            Some(data) => sealing_key(&key_file(data))?,
            None => SealingKey::generate().map_err(CliError::failed)?.to_text(),
        };
        let flags = [
            ("issuer", format!("http://{http}")),
            ("grpc_addr", grpc.to_string()),
            ("http_addr", http.to_string()),
            // Only this machine can reach the metrics.
            ("metrics_addr", http.to_string()),
            // `serve` rejects a store in memory, which is set below.
            ("store", format!("sqlite:{}", self.data.as_deref().unwrap_or(Path::new("dev")).display())),
            ("algorithms", self.algorithms.clone()),
            ("oauth_endpoints", "true".to_owned()),
            ("allow_plaintext", "true".to_owned()),
            ("drain_delay", "0s".to_owned()),
            ("drain_timeout", "1s".to_owned()),
            // stdout is for the user.
            ("audit_mode", "off".to_owned()),
            ("log", self.log.clone()),
        ];
        let mut flags: HashMap<&'static str, String> = flags.into_iter().collect();
        if let Some(path) = &self.shared_secret_file {
            flags.insert("shared_secret", path.clone());
        }
        let variables = [("TOKEND_SEALING_KEY".into(), sealing_key.as_str().into())].into_iter().collect();
        let resolved = Inputs { flags, variables, file: None }.resolve();
        let mut config = resolved.config()?;
        config.settings.serving.page = true;
        config.settings.store = match &self.data {
            Some(data) => Location::Sqlite(data.clone()),
            None => Location::Memory,
        };
        config.settings.opening = OpenOptions::CREATE;
        Ok(config)
    }
}

/// The file of the sealing key for a data file.
fn key_file(data: &Path) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push(".sealing-key");
    PathBuf::from(name)
}

/// Reads the sealing keys at `path`, or creates one there. An existing key is never overwritten, because it alone decrypts the
/// stored keys.
pub(super) fn sealing_key(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let failed = |error: io::Error| CliError::failed(format!("sealing key {}: {error}", path.display()));
    let key = SealingKey::generate().map_err(CliError::failed)?.to_text();
    match private_file::create(path, &format!("{}\n", *key)) {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = files::read_secret(path).map_err(CliError::failed)?;
            parse_local_keys(&text)
                .map(|_| text)
                .map_err(|error| CliError::failed(format!("sealing key {}: {error}", path.display())))
        }
        Err(error) => Err(failed(error)),
    }
}

/// A Unix socket for this user in the runtime directory (XDG base directory specification), if there is one.
fn socket_settings(grpc: SocketAddr) -> Option<UnixSocketSettings> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let folder = runtime.filter(|path| path.is_absolute() && path.is_dir())?.join("tokend");
    private_file::create_folder(&folder).ok()?;
    let path = folder.join(Profile::file_name(&grpc.to_string())).with_extension("sock");
    let is_usable = is_socket_path(&path) && UnixIds::is_usable(geteuid().as_raw());
    is_usable.then_some(UnixSocketSettings { path, mode: 0o600, uid: None, gid: None })
}

/// How the client authenticates: by its secret, and on the socket as this user.
fn authentication(has_socket: bool) -> Authentication {
    let mut authentication = Authentication::default();
    if has_socket {
        authentication.methods.push(AuthenticationMethod::UnixPeer);
        authentication.unix_peer.uids.push(geteuid().as_raw());
    }
    authentication
}

fn client_id() -> Result<ClientId, CliError> {
    ClientId::parse(CLIENT).map_err(CliError::failed)
}

fn everything() -> ClientSettings {
    let any = || vec![Pattern::any()];
    ClientSettings {
        display_name: "created by tokend dev".to_owned(),
        permissions: Permissions {
            methods: any(),
            audiences: any(),
            scopes: any(),
            subjects: any(),
            claims: any(),
            max_ttl: Ttl::from_minutes(24 * 60),
            // `*` allows every audience; its own audience is the default.
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

/// A token from a real call, so that the commands of the banner work.
async fn sample(grpc: SocketAddr, authorization: &str) -> Result<String, CliError> {
    let channel = Endpoint::from_shared(format!("http://{grpc}"))
        .map_err(CliError::failed)?
        .timeout(Duration::from_secs(10))
        .connect()
        .await
        .map_err(CliError::failed)?;
    let mut request = Request::new(IssueTokenRequest {
        subject: "alice".to_owned(),
        audiences: vec!["orders".to_owned()],
        scopes: vec!["read".to_owned()],
        ttl: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
        ..IssueTokenRequest::default()
    });
    request.metadata_mut().insert("authorization", authorization.parse().map_err(CliError::failed)?);
    Ok(response(TokenServiceClient::new(channel).issue_token(request).await)?.access_token)
}

//! The settings as types, each within its bounds.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use super::{
    Problems, Resolved,
    keys::{algorithms, audience_algorithms, schedule, sealing},
    reader::{Reader, sources},
    resolved::default_jwks_uri,
    secret::{Secret, shared_secret},
    services::{audit, callers, grpc_socket, people, serving, tls, traces},
    urls::{check_issuer, check_scheme_of},
};
use crate::{
    access::IssueRules,
    admission::AdmissionLimits,
    grpc::{Limits, TrustPrivacy, WatchLimits},
    http::{Discovery, OAuthMetadata},
    keys::{KeySettings, VerifierCaps},
    listen::{ConnectionLimits, Connections, TlsFiles, UnixSocketSettings, divide_descriptors},
    model::ClientLimits,
    oauth,
    revocations::RevocationSettings,
    server::Settings,
    store::{Location, OpenOptions},
    telemetry::{LogFilter, LogFormat},
    tokens::{IssuePolicy, SessionPolicy, VerifyPolicy},
};

/// The shortest time between two look-ups in the store for unknown keys: any caller can send tokens with unknown keys.
const KEY_LOOKUP_INTERVAL: Duration = Duration::from_millis(50);

/// How long a call waits for such a look-up: one interval, and a slow store. A longer wait does not help a caller while the store
/// hangs.
const KEY_LOOKUP_WAIT: Duration = Duration::from_millis(100);

/// How often a watching verifier gets a heartbeat: it may treat a longer silence as a broken connection.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long a watching verifier may leave messages unread.
const UNREAD: Duration = Duration::from_secs(30);

/// Where the metrics are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metrics {
    /// Not served.
    Off,
    /// On the HTTP port.
    WithHttp,
    /// On their own port.
    At(SocketAddr),
}

/// All settings of `tokend serve`.
#[derive(Debug)]
pub struct Config {
    /// The settings of the server.
    pub settings: Settings,
    /// `grpc_addr`
    pub grpc_addr: SocketAddr,
    /// `grpc_socket`
    pub grpc_socket: Option<UnixSocketSettings>,
    /// `http_addr`
    pub http_addr: SocketAddr,
    /// `metrics_addr`
    pub metrics: Metrics,
    /// `log`
    pub log: LogFilter,
    /// `log_format`
    pub log_format: LogFormat,
}

impl Config {
    /// The settings of the server, with as many connections as the limit of open files allows. Logs a warning if that is less than
    /// `max_connections`.
    pub fn within_open_files(mut self) -> Settings {
        let wanted = self.settings.serving.grpc_connections;
        let Connections { grpc, http, grpc_socket } =
            divide_descriptors(wanted.total, self.grpc_socket.is_some());
        // With fewer connections, one source gets the same share of them.
        let caps = |total: usize| ConnectionLimits {
            total,
            per_source: match total < wanted.total {
                true => (wanted.per_source.saturating_mul(total) / wanted.total).max(1),
                false => wanted.per_source,
            },
        };
        if grpc < wanted.total {
            tracing::warn!(
                max_connections = wanted.total,
                grpc,
                http,
                grpc_per_source = caps(grpc).per_source,
                "the limit of open files allows fewer connections: raise it (ulimit -n) or lower max_connections"
            );
        }
        self.settings.serving.grpc_connections = caps(grpc);
        // All clients of the socket are one source.
        self.settings.serving.grpc_socket_connections =
            ConnectionLimits { total: grpc_socket, per_source: grpc_socket };
        self.settings.serving.http_connections = caps(http);
        self.settings
    }
}

impl Resolved {
    /// Parses and checks all settings.
    ///
    /// # Errors
    /// Everything that is missing or wrong, at once.
    pub fn config(&self) -> Result<Config, Problems> {
        // The settings of the file would be reported as missing.
        if self.is_file_unreadable {
            return Err(self.problems.clone());
        }
        let mut reader = Reader::new(self);
        match config(&mut reader) {
            Some(config) if reader.problems.is_empty() => Ok(config),
            _ => Err(reader.problems),
        }
    }
}

impl Resolved {
    /// The address of the HTTP port, and whether it has TLS. Other settings may be missing or wrong.
    ///
    /// # Errors
    /// When one of the two is wrong, or the configuration file cannot be read.
    pub fn http_port(&self) -> Result<(SocketAddr, bool), Problems> {
        if self.is_file_unreadable {
            return Err(self.problems.clone());
        }
        let mut reader = Reader::without_other_problems(self);
        match (reader.address("http_addr"), reader.valid_bool("http_tls")) {
            (Some(address), Some(tls)) => Ok((address, tls)),
            _ => Err(reader.problems),
        }
    }
}

/// Reads all settings. Each is read before the first `?`, so that its problems are reported.
fn config(reader: &mut Reader<'_>) -> Option<Config> {
    let tls = tls(reader);
    let issuer = issuer(reader);
    let jwks_uri = jwks_uri(reader, issuer.as_deref());
    let store = store(reader);
    let opening = OpenOptions {
        create: reader.bool("create_store"),
        migrate: true,
        connections: NonZeroU32::new(reader.number("store_connections")).unwrap_or(NonZeroU32::MIN),
    };
    let sealing = sealing(reader);
    let algorithms = algorithms(reader);
    let shared_secret = reader.secret("shared_secret").and_then(|secret| {
        let read = shared_secret(secret, &algorithms);
        reader.ok_or_problem("shared_secret", read)
    });
    let (grpc_addr, http_addr) = (reader.address("grpc_addr"), reader.address("http_addr"));
    if grpc_addr.is_some_and(|address| address.port() != 0) && grpc_addr == http_addr {
        reader.problem("http_addr", "is the address of grpc_addr too");
    }
    let grpc_socket = grpc_socket(reader);
    let oauth = oauth(reader, issuer.as_deref(), tls.as_ref(), http_addr);
    let metrics = metrics(reader, grpc_addr, http_addr);
    let (leeway, max_leeway) = (reader.duration("leeway"), reader.duration("max_leeway"));
    if leeway > max_leeway {
        reader.problem("leeway", "is larger than max_leeway");
    }
    let (max_token_bytes, max_message_bytes) =
        (reader.number("max_token_bytes"), reader.number("max_message_bytes"));
    if max_token_bytes > max_message_bytes {
        reader.problem("max_token_bytes", "is larger than max_message_bytes");
    }
    let mut serving = serving(reader, max_token_bytes, max_message_bytes);
    serving.http_tls = tls.as_ref().is_some_and(|(_, http)| *http);
    serving.metrics_on_http = metrics == Metrics::WithHttp;
    let audience_algorithms = audience_algorithms(reader, &algorithms);
    let max_ttl = reader.ttl("max_ttl");
    let jwks_max_age = reader.duration("jwks_max_age");
    let schedule = schedule(reader, max_ttl, max_leeway, jwks_max_age);
    let (log, log_format) = (reader.parsed("log"), reader.parsed("log_format"));
    let own_issuer = issuer.clone().unwrap_or_default();
    let verify = VerifyPolicy {
        issuer: own_issuer.clone(),
        max_token_bytes,
        leeway,
        max_leeway,
        cache_ttl: reader.duration("cache_ttl"),
        cache_bytes: reader.number("verify_cache_bytes"),
    };
    let watches = WatchLimits {
        most: VerifierCaps {
            all: reader.number("max_watches"),
            of_one_source: reader.number("max_watches_per_source"),
        },
        heartbeat: HEARTBEAT,
        unread: UNREAD,
    };
    let trust_privacy = TrustPrivacy {
        requires_credential: reader.bool("trust_bundle_requires_credential"),
        hashes_subjects: reader.bool("trust_bundle_hashes_subjects"),
    };
    let calls = Limits { request_timeout: reader.duration("request_timeout") };
    let client = ClientLimits {
        calls_per_second: reader.number::<u32>("client_calls_per_second").try_into().ok(),
        concurrent_calls: reader.number::<u32>("client_concurrent_calls").try_into().ok(),
    };
    let admission = AdmissionLimits { client, waiting: reader.number("lane_queue") };
    let audit = audit(reader, store.as_ref());
    let traces = traces(reader);
    let (callers, caller_sources) = callers(reader, issuer.as_deref(), oauth.as_ref(), max_token_bytes);
    let people = people(reader);
    let sessions = SessionPolicy {
        idle_ttl: reader.duration("session_idle_ttl"),
        max_ttl: reader.duration("session_max_ttl"),
        reuse_window: reader.duration("refresh_reuse_window"),
    };
    let revocations = RevocationSettings {
        staleness_bound: reader.duration("staleness_bound"),
        serve_stale: reader.bool("serve_stale"),
    };
    let (mut tls, _) = tls?;
    if let Some(tls) = &mut tls {
        tls.client_certificates_on_http = oauth.is_some();
    }
    let settings = Settings {
        store: store?,
        opening,
        keys: KeySettings {
            sealing,
            algorithms,
            shared_secret,
            lookup_interval: KEY_LOOKUP_INTERVAL,
            lookup_wait: KEY_LOOKUP_WAIT,
            jwks_max_age,
            schedule: schedule?,
        },
        rules: IssueRules { max_ttl: max_ttl?, audience_algorithms },
        callers,
        caller_sources,
        issue: IssuePolicy { issuer: own_issuer, max_token_bytes },
        verify,
        discovery: Discovery { issuer: issuer?, jwks_uri, oauth },
        tls,
        calls,
        admission,
        audit,
        traces,
        people,
        sessions,
        revocations,
        watches,
        trust_privacy,
        max_message_bytes,
        serving,
    };
    let (grpc_addr, http_addr, log, log_format) = (grpc_addr?, http_addr?, log?, log_format?);
    Some(Config { settings, grpc_addr, grpc_socket, http_addr, metrics, log, log_format })
}

/// The OAuth 2.0 endpoints, if they are served. They carry secrets.
fn oauth(
    reader: &mut Reader<'_>,
    issuer: Option<&str>,
    tls: Option<&(Option<TlsFiles>, bool)>,
    http_addr: Option<SocketAddr>,
) -> Option<OAuthMetadata> {
    if !reader.bool("oauth_endpoints") {
        return None;
    }
    let is_loopback = http_addr.is_some_and(|address| address.ip().is_loopback());
    if let Some((Some(_), false)) = tls
        && !is_loopback
    {
        reader.problem(
            "oauth_endpoints",
            "needs http_tls, because http_addr is no loopback address: secrets would be readable",
        );
    }
    let mutual_tls = matches!(tls, Some((Some(files), true)) if files.client_ca.is_some());
    Some(oauth::metadata(issuer?, mutual_tls))
}

/// Port 0 never is the port of another address.
fn metrics(reader: &mut Reader<'_>, grpc: Option<SocketAddr>, http: Option<SocketAddr>) -> Metrics {
    let Some(address) = reader.address("metrics_addr") else { return Metrics::Off };
    if address.port() != 0 && Some(address) == http {
        return Metrics::WithHttp;
    }
    if address.port() != 0 && Some(address) == grpc {
        reader.problem("metrics_addr", "is the address of grpc_addr too");
    }
    Metrics::At(address)
}

fn issuer(reader: &mut Reader<'_>) -> Option<String> {
    let Some(text) = reader.text("issuer") else {
        reader.missing("issuer");
        return None;
    };
    let allow_http = reader.text("allow_plaintext") == Some("true");
    reader.ok_or_problem("issuer", check_issuer(text, allow_http))?;
    Some(text.to_owned())
}

fn jwks_uri(reader: &mut Reader<'_>, issuer: Option<&str>) -> String {
    let Some(text) = reader.text("jwks_uri") else { return default_jwks_uri(issuer.unwrap_or_default()) };
    let allow_http = reader.text("allow_plaintext") == Some("true");
    reader.ok_or_problem("jwks_uri", check_scheme_of(text, allow_http));
    text.to_owned()
}

fn store(reader: &mut Reader<'_>) -> Option<Location> {
    let admits_read_only = reader.bool("allow_read_only_store");
    let connect_timeout = reader.duration("store_connect_timeout");
    let (name, text) = match (reader.text("store"), reader.path("store_file")) {
        (Some(text), None) => ("store", Secret::from_text(text)),
        (None, Some(path)) => ("store_file", reader.ok_or_problem("store_file", Secret::from_file(&path))?),
        (Some(_), Some(_)) => {
            reader.problem("store_file", "given together with store: remove one");
            return None;
        }
        (None, None) => {
            let (store, file) = (sources("store"), sources("store_file"));
            reader
                .problems
                .add(format!("store is missing: set it by {store}, or a file that holds it by {file}"));
            return None;
        }
    };
    // The errors of a location do not quote it.
    match text.reveal().parse() {
        Ok(Location::Memory) => {
            let problem =
                "`memory` would lose every key and client at a restart: use sqlite:PATH or postgres://…";
            reader.problem(name, problem);
            None
        }
        Ok(Location::Postgres(database)) => {
            let database = database.admit_read_only(admits_read_only).connect_for(connect_timeout);
            Some(Location::Postgres(match text.file() {
                Some(file) => database.in_file(file),
                None => database,
            }))
        }
        read => reader.ok_or_problem(name, read.map_err(|error| error.to_string())),
    }
}

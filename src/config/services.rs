//! The settings of TLS, connections, authentication, logins, the audit log and traces.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use url::Url;

use super::{
    reader::{Reader, sources},
    trusted_issuers,
};
use crate::{
    access::{Backoff, CallerSettings, HashCost, HashingSettings, LoginLimitSettings, RefreshSettings},
    audit::{AuditMode, AuditSettings, SinkSettings},
    database::{DatabaseLocation, printable},
    files,
    http::OAuthMetadata,
    listen::{
        CallMemoryLimits, ClientAuth, ConnectionLimits, GrpcLimits, Lifetime, MAX_SOCKET_PATH, TlsFiles,
        UnixSocketSettings, is_socket_path,
    },
    server::{CallerSources, PeopleSettings, Serving},
    store::Location,
    telemetry::TraceSettings,
};

/// How often changed TLS files are detected: they are small, and in the page cache.
const TLS_CHECK: Duration = Duration::from_secs(1);

/// The longest time to fetch the keys of a trusted issuer, because calls may wait for it.
const FETCH: Duration = Duration::from_secs(5);

/// The limits for one name from all sources: five times the failures from one source, and waits of half a minute.
const NAME_FACTOR: u32 = 5;
const LONGEST_NAME_WAIT: Duration = Duration::from_secs(30);

/// The limits for one source with all names: often it is the service with the login form of all users.
const SOURCE: Backoff =
    Backoff { free: 1000, longest: Duration::from_secs(5), forget: Duration::from_secs(1) };

/// How long it takes to forget one failure of a name.
const FORGET: Duration = Duration::from_secs(60);

/// The names and sources in memory: at most some 10 MB.
const REMEMBERED: usize = 20_000;

/// The TLS files of the gRPC port, none for plaintext; and whether the HTTP port uses them too.
pub(super) fn tls(reader: &mut Reader<'_>) -> Option<(Option<TlsFiles>, bool)> {
    let plaintext = reader.valid_bool("allow_plaintext")?;
    let http = reader.valid_bool("http_tls")?;
    let read = match reader.text("tls_client_auth").unwrap_or_default() {
        "optional" => Ok(ClientAuth::Optional),
        "required" => Ok(ClientAuth::Required),
        other => Err(format!("`{other}`: must be optional or required")),
    };
    let client_auth = reader.ok_or_problem("tls_client_auth", read)?;
    let client_ca = reader.path("tls_client_ca_file");
    if client_ca.is_none() && client_auth == ClientAuth::Required {
        reader.problem("tls_client_auth", "needs tls_client_ca_file too, with the authorities to trust");
    }
    match (reader.path("tls_cert_file"), reader.path("tls_key_file"), plaintext) {
        (Some(certificate), Some(key), false) => {
            return Some((
                Some(TlsFiles {
                    certificate,
                    key,
                    client_ca,
                    client_auth,
                    client_certificates_on_http: false,
                }),
                http,
            ));
        }
        (None, None, true) => {
            for (name, is_given) in [("tls_client_ca_file", client_ca.is_some()), ("http_tls", http)] {
                if is_given {
                    reader.problem(name, "given together with allow_plaintext: remove one");
                }
            }
            return Some((None, false));
        }
        (Some(_), None, false) => reader.missing("tls_key_file"),
        (None, Some(_), false) => reader.missing("tls_cert_file"),
        (Some(_), _, true) | (_, Some(_), true) => {
            reader.problem("allow_plaintext", "given together with TLS files: remove one");
        }
        (None, None, false) => reader.problems.add(format!(
            "TLS is missing: set tls_cert_file by {}, and tls_key_file by {}; or serve without TLS, with \
             allow_plaintext by {}",
            sources("tls_cert_file"),
            sources("tls_key_file"),
            sources("allow_plaintext")
        )),
    }
    None
}

/// The Unix socket for gRPC.
pub(super) fn grpc_socket(reader: &mut Reader<'_>) -> Option<UnixSocketSettings> {
    let mode = reader.text("grpc_socket_mode").unwrap_or_default();
    let wanted = || format!("`{mode}` is no mode of a file in octal, such as 0660");
    let mode = reader.ok_or_problem("grpc_socket_mode", socket_mode(mode).ok_or_else(wanted));
    let owner = reader.text("grpc_socket_owner").map(|text| {
        let wanted = || format!("`{text}` is no owner by numbers: UID:GID, UID or :GID");
        reader.ok_or_problem("grpc_socket_owner", socket_owner(text).ok_or_else(wanted))
    });
    let path = reader.path("grpc_socket")?;
    if !is_socket_path(&path) {
        let problem = format!(
            "`{}` must be the path of a file, of at most {MAX_SOCKET_PATH} bytes",
            files::printable(&path)
        );
        reader.problem("grpc_socket", &problem);
    }
    let (uid, gid) = owner.unwrap_or(Some((None, None)))?;
    Some(UnixSocketSettings { path, mode: mode?, uid, gid })
}

fn socket_mode(text: &str) -> Option<u32> {
    let is_octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777)
}

/// Reads `UID:GID`, `UID` or `:GID`.
fn socket_owner(text: &str) -> Option<(Option<u32>, Option<u32>)> {
    // The kernel takes the largest number for no change.
    let id = |text: &str| text.parse::<u32>().ok().filter(|id| *id != u32::MAX).map(Some);
    match text.split_once(':') {
        None => Some((id(text)?, None)),
        Some(("", gid)) => Some((None, id(gid)?)),
        Some((uid, gid)) => Some((id(uid)?, id(gid)?)),
    }
}

/// How connections are served. TLS and metrics on the HTTP port are set by the caller.
pub(super) fn serving(reader: &mut Reader<'_>, max_token_bytes: usize, max_message_bytes: usize) -> Serving {
    // A token that may be verified may also be a credential, which is a header.
    let token_header = u32::try_from(max_token_bytes).unwrap_or(u32::MAX).saturating_add(4096);
    let connections = GrpcLimits {
        max_concurrent_streams: reader.number("max_concurrent_streams"),
        max_header_bytes: reader.number::<u32>("max_header_bytes").max(token_header),
        keepalive_interval: reader.duration("keepalive_interval"),
        keepalive_timeout: reader.duration("keepalive_timeout"),
        lifetime: Lifetime {
            idle_timeout: reader.duration("idle_timeout"),
            max_age: reader.duration("max_connection_age"),
            grace: reader.duration("max_connection_age_grace"),
        },
    };
    let caps = ConnectionLimits {
        total: reader.number("max_connections"),
        per_source: reader.number("max_connections_per_source"),
    };
    let call_memory = CallMemoryLimits {
        total: reader.number("max_call_memory"),
        per_source: reader.number("max_call_memory_per_source"),
    };
    if call_memory.per_source > call_memory.total {
        reader.problem("max_call_memory_per_source", "is larger than max_call_memory");
    }
    // Each byte of a message counts twice, and the rest of the call needs as much again.
    if call_memory.per_source < max_message_bytes.saturating_mul(4) {
        reader.problem("max_call_memory_per_source", "is less than four times max_message_bytes");
    }
    Serving {
        connections,
        grpc_connections: caps,
        grpc_socket_connections: caps,
        http_connections: caps,
        call_memory,
        http_tls: false,
        metrics_on_http: false,
        page: false,
        tls_check_interval: TLS_CHECK,
        handshake_timeout: reader.duration("handshake_timeout"),
        refresh_interval: reader.duration("refresh_interval"),
        ready_when_degraded: reader.bool("ready_when_degraded"),
        drain_delay: reader.duration("drain_delay"),
        drain_timeout: reader.duration("drain_timeout"),
    }
}

/// How callers authenticate.
pub(super) fn callers(
    reader: &mut Reader<'_>,
    issuer: Option<&str>,
    oauth: Option<&OAuthMetadata>,
    max_token_bytes: usize,
) -> (CallerSettings, CallerSources) {
    let settings = CallerSettings {
        audiences: issuer
            .into_iter()
            .chain(oauth.map(OAuthMetadata::token_endpoint))
            .map(str::to_owned)
            .collect(),
        max_token_bytes,
        assertion_max_ttl: reader.duration("assertion_max_ttl"),
        leeway: reader.duration("caller_leeway"),
        failures_per_minute: NonZeroU32::new(reader.number("max_failed_callers")).unwrap_or(NonZeroU32::MIN),
    };
    let trusted = reader.path("trusted_issuers_file").and_then(|path| {
        let read = trusted_issuers::read(&path, issuer);
        reader.ok_or_problem("trusted_issuers_file", read)
    });
    let refresh = RefreshSettings {
        interval: reader.duration("issuer_refresh_interval"),
        max_age: reader.duration("issuer_keys_max_age"),
        timeout: FETCH,
    };
    if refresh.interval > refresh.max_age {
        reader.problem("issuer_refresh_interval", "is larger than issuer_keys_max_age");
    }
    let jwks_dir = reader.path("client_jwks_dir");
    if let Some(path) = jwks_dir.as_deref().filter(|path| !path.is_dir()) {
        reader.problem("client_jwks_dir", &format!("{} is no folder", path.display()));
    }
    (settings, CallerSources { jwks_dir, trusted_issuers: trusted.unwrap_or_default(), refresh })
}

/// How users log in.
pub(super) fn people(reader: &mut Reader<'_>) -> PeopleSettings {
    let parallelism = match reader.is_given("login_parallelism") {
        true => reader.number("login_parallelism"),
        // The other half of the cores verifies tokens.
        false => std::thread::available_parallelism().map_or(1, NonZeroUsize::get) / 2,
    };
    let free = reader.number("login_free_failures");
    let longest = reader.duration("login_longest_wait");
    let cost =
        HashCost { memory: reader.number("password_memory"), passes: reader.number("password_passes") };
    PeopleSettings {
        hashing: HashingSettings {
            cost,
            parallelism: parallelism.max(1),
            queue: reader.number("login_queue"),
        },
        limits: LoginLimitSettings {
            name_at_source: Backoff { free, longest, forget: FORGET },
            name: Backoff {
                free: free.saturating_mul(NAME_FACTOR),
                longest: longest.min(LONGEST_NAME_WAIT),
                forget: FORGET,
            },
            source: SOURCE,
            remembered: REMEMBERED,
        },
    }
}

/// Where traces are sent; none without an endpoint.
pub(super) fn traces(reader: &mut Reader<'_>) -> Option<TraceSettings> {
    let ratio = reader.text("trace_sample_ratio").unwrap_or_default();
    let sample_ratio = ratio.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    let wanted = || format!("`{ratio}` is no number from 0 to 1");
    let sample_ratio = reader.ok_or_problem("trace_sample_ratio", sample_ratio.ok_or_else(wanted));
    let follow_callers = reader.bool("trace_follow_callers");
    let text = reader.text("otlp_endpoint")?;
    let endpoint = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.password().is_none());
    let wanted =
        || format!("`{}` must be a URL such as http://collector:4317, without a password", printable(text));
    let endpoint = reader.ok_or_problem("otlp_endpoint", endpoint.ok_or_else(wanted))?;
    Some(TraceSettings { endpoint, sample_ratio: sample_ratio?, follow_callers })
}

/// Where audit events are written.
pub(super) fn audit(reader: &mut Reader<'_>, store: Option<&Location>) -> AuditSettings {
    let mode = reader.parsed("audit_mode").unwrap_or_default();
    let buffer = reader.number("audit_buffer");
    let mut names: Vec<&str> = Vec::new();
    let mut sinks = Vec::new();
    for name in reader.words("audit_sinks") {
        if names.contains(&name) {
            reader.problem("audit_sinks", &format!("{name} is there twice"));
            continue;
        }
        names.push(name);
        match name {
            "stdout" => sinks.push(SinkSettings::Stdout),
            "file" => match reader.path("audit_file") {
                Some(path) => sinks.push(SinkSettings::File(path)),
                None => reader.missing("audit_file"),
            },
            "postgres" => sinks.extend(audit_database(reader, store).map(SinkSettings::Postgres)),
            _ => reader.problem("audit_sinks", &format!("`{name}` is none of stdout, file, postgres")),
        }
    }
    for (setting, sink) in [("audit_file", "file"), ("audit_postgres", "postgres")] {
        // While the audit log is off, its settings may stay.
        if reader.is_given(setting) && !names.contains(&sink) && mode != AuditMode::Off {
            reader.problem(setting, &format!("is given, but `{sink}` is not in audit_sinks"));
        }
    }
    AuditSettings { mode, sinks, buffer }
}

/// The database for audit events: its own setting, else the store's.
fn audit_database(reader: &mut Reader<'_>, store: Option<&Location>) -> Option<DatabaseLocation> {
    if let Some(secret) = reader.secret("audit_postgres") {
        let location =
            DatabaseLocation::parse(secret.reveal()).map_err(|problem| format!("the URL {problem}"));
        let location = reader.ok_or_problem("audit_postgres", location)?;
        let location = location.connect_for(reader.duration("store_connect_timeout"));
        return Some(match secret.file() {
            Some(file) => location.in_file(file),
            None => location,
        });
    }
    match store {
        Some(Location::Postgres(database)) => Some(database.clone()),
        Some(_) if !reader.is_given("audit_postgres") => {
            reader.problems.add(format!(
                "audit_postgres is missing, because the store is no PostgreSQL database: set it by {}",
                sources("audit_postgres")
            ));
            None
        }
        // The problem of the store or of `audit_postgres` is already reported.
        _ => None,
    }
}

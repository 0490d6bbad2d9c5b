//! The settings as types, each within its bounds.

use std::{net::SocketAddr, time::Duration};

use super::{
    Problems, Resolved,
    callers::callers,
    issuer::{check_issuer, check_jwks_uri},
    people::people,
    reader::{Reader, find},
    resolved::default_jwks_uri,
    rotation::{algorithms, audience_algorithms, schedule},
    sealing::sealing,
    secret::{Secret, SharedSecret},
    sessions::{revocations, sessions},
    trace::{TraceConfig, trace},
    transport::{ConnectionSettings, Transport, call_memory, connections, transport},
};
use crate::{
    access::CallerSettings,
    grpc::TrustPrivacy,
    keys::{RotationSchedule, SealingSettings, VerifierCaps},
    model::{Algorithm, Pattern, Ttl},
    revocations::RevocationSettings,
    server::{CallerSources, PeopleSettings},
    store::Location,
    telemetry::{LogFilter, LogFormat},
    tokens::SessionPolicy,
};

/// Where the metrics are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metrics {
    /// Nowhere.
    Off,
    /// On the HTTP port.
    WithHttp,
    /// On a port of their own.
    At(SocketAddr),
}

/// Everything that `tokend serve` needs to know. Each field is the setting of its name.
#[derive(Debug)]
#[expect(missing_docs, reason = "the table of settings documents each")]
pub struct Config {
    pub issuer: String,
    pub jwks_uri: String,
    pub store: Location,
    pub sealing: SealingSettings,
    /// At least one; the first is the default.
    pub algorithms: Vec<Algorithm>,
    pub shared_secret: Option<SharedSecret>,
    pub audience_algorithms: Vec<(Pattern, Algorithm)>,
    /// `rotation_period`, `publish_ahead`, `retire_window` and `await_verifiers`, which must fit each other.
    pub schedule: RotationSchedule,
    pub max_ttl: Ttl,
    pub grpc_addr: SocketAddr,
    pub http_addr: SocketAddr,
    pub metrics: Metrics,
    pub transport: Transport,
    pub connections: ConnectionSettings,
    pub leeway: Duration,
    pub max_leeway: Duration,
    pub cache_ttl: Duration,
    /// `verify_cache_bytes`
    pub verify_cache_bytes: u64,
    pub jwks_max_age: Duration,
    pub max_token_bytes: usize,
    pub max_message_bytes: usize,
    pub request_timeout: Duration,
    pub ready_when_degraded: bool,
    pub drain_delay: Duration,
    pub drain_timeout: Duration,
    pub max_watches: VerifierCaps,
    /// `trust_bundle_…`.
    pub trust_privacy: TrustPrivacy,
    pub refresh_interval: Duration,
    /// The settings of the audit log, of traces, and of how much is taken on.
    pub trace: TraceConfig,
    /// What steers authentication, and where it reads.
    pub callers: (CallerSettings, CallerSources),
    /// `password_…` and `login_…`.
    pub people: PeopleSettings,
    /// How long sessions last.
    pub sessions: SessionPolicy,
    /// How old the view of the revocations may be.
    pub revocations: RevocationSettings,
    pub log: LogFilter,
    pub log_format: LogFormat,
}

impl Resolved {
    /// The settings as types, if they are complete and right.
    ///
    /// # Errors
    /// Everything that is missing or wrong, at once.
    pub fn config(&self) -> Result<Config, Problems> {
        // What the file sets would be called missing.
        if self.is_file_unreadable {
            return Err(self.problems.clone());
        }
        let mut reader = Reader::new(self);
        let transport = transport(&mut reader);
        let mut connections = connections(&mut reader);
        let issuer = issuer(&mut reader);
        let store = store(&mut reader);
        let sealing = sealing(&mut reader);
        let algorithms = algorithms(&mut reader);
        let shared_secret = reader.secret("shared_secret").and_then(|secret| {
            let read = SharedSecret::read(secret, &algorithms);
            reader.note("shared_secret", read)
        });
        let (grpc_addr, http_addr) = (reader.address("grpc_addr"), reader.address("http_addr"));
        if grpc_addr.is_some_and(|address| address.port() != 0) && grpc_addr == http_addr {
            reader.wrong("http_addr", "is the address of grpc_addr too");
        }
        let metrics = metrics(&mut reader, grpc_addr, http_addr);
        let (leeway, max_leeway) = (reader.duration("leeway"), reader.duration("max_leeway"));
        if leeway > max_leeway {
            reader.wrong("leeway", "is larger than max_leeway");
        }
        let max_token_bytes = reader.number("max_token_bytes");
        let max_message_bytes = reader.number("max_message_bytes");
        if max_token_bytes > max_message_bytes {
            reader.wrong("max_token_bytes", "is larger than max_message_bytes");
        }
        // A token that may be verified may also be a credential, which is a header.
        let of_token = u32::try_from(max_token_bytes).unwrap_or(u32::MAX).saturating_add(4096);
        connections.max_header_bytes = connections.max_header_bytes.max(of_token);
        call_memory(&mut reader, &connections, max_message_bytes);
        let audience_algorithms = audience_algorithms(&mut reader, &algorithms);
        let max_ttl = reader.ttl("max_ttl");
        let jwks_max_age = reader.duration("jwks_max_age");
        let schedule = schedule(&mut reader, max_ttl, max_leeway, jwks_max_age);
        let jwks_uri = jwks_uri(&mut reader, &issuer);
        let log = reader.word("log");
        let log_format = reader.word("log_format");
        let cache_ttl = reader.duration("cache_ttl");
        let verify_cache_bytes = reader.number("verify_cache_bytes");
        let max_watches = VerifierCaps {
            all: reader.number("max_watches"),
            of_one_source: reader.number("max_watches_per_source"),
        };
        let trust_privacy = TrustPrivacy {
            requires_credential: reader.bool("trust_bundle_requires_credential").unwrap_or_default(),
            hashes_subjects: reader.bool("trust_bundle_hashes_subjects").unwrap_or_default(),
        };
        let request_timeout = reader.duration("request_timeout");
        let ready_when_degraded = reader.bool("ready_when_degraded").unwrap_or_default();
        let (drain_delay, drain_timeout) = (reader.duration("drain_delay"), reader.duration("drain_timeout"));
        let refresh_interval = reader.duration("refresh_interval");
        let trace = trace(&mut reader, store.as_ref());
        let callers = callers(&mut reader, issuer.as_deref(), max_token_bytes);
        let people = people(&mut reader);
        let (sessions, revocations) = (sessions(&mut reader), revocations(&mut reader));
        let problems = reader.problems;
        let rotation = schedule.zip(max_ttl);
        match (transport, issuer, store, sealing, rotation, grpc_addr, http_addr, log, log_format) {
            (
                Some(transport),
                Some(issuer),
                Some(store),
                Some(sealing),
                Some((schedule, max_ttl)),
                Some(grpc_addr),
                Some(http_addr),
                Some(log),
                Some(log_format),
            ) if problems.is_empty() => Ok(Config {
                issuer,
                jwks_uri,
                store,
                sealing,
                algorithms,
                shared_secret,
                audience_algorithms,
                schedule,
                max_ttl,
                grpc_addr,
                http_addr,
                metrics,
                transport,
                connections,
                leeway,
                max_leeway,
                cache_ttl,
                verify_cache_bytes,
                jwks_max_age,
                max_token_bytes,
                max_message_bytes,
                request_timeout,
                ready_when_degraded,
                drain_delay,
                drain_timeout,
                max_watches,
                trust_privacy,
                refresh_interval,
                trace,
                callers,
                people,
                sessions,
                revocations,
                log,
                log_format,
            }),
            _ => Err(problems),
        }
    }
}

/// Port 0 is a port of its own wherever it stands.
fn metrics(reader: &mut Reader<'_>, grpc: Option<SocketAddr>, http: Option<SocketAddr>) -> Metrics {
    let Some(address) = reader.address("metrics_addr") else { return Metrics::Off };
    if address.port() != 0 && Some(address) == http {
        return Metrics::WithHttp;
    }
    if address.port() != 0 && Some(address) == grpc {
        reader.wrong("metrics_addr", "is the address of grpc_addr too");
    }
    Metrics::At(address)
}

fn issuer(reader: &mut Reader<'_>) -> Option<String> {
    let Some(text) = reader.text("issuer") else {
        reader.missing("issuer");
        return None;
    };
    let allow_http = reader.text("allow_plaintext") == Some("true");
    reader.note("issuer", check_issuer(text, allow_http))?;
    Some(text.to_owned())
}

fn jwks_uri(reader: &mut Reader<'_>, issuer: &Option<String>) -> String {
    let allow_http = reader.text("allow_plaintext") == Some("true");
    match reader.text("jwks_uri") {
        Some(text) => {
            reader.note("jwks_uri", check_jwks_uri(text, allow_http));
            text.to_owned()
        }
        None => default_jwks_uri(issuer.as_deref().unwrap_or_default()),
    }
}

fn store(reader: &mut Reader<'_>) -> Option<Location> {
    let admits_read_only = reader.bool("allow_read_only_store").unwrap_or_default();
    let (name, text) = match (reader.text("store"), reader.path("store_file")) {
        (Some(text), None) => ("store", Secret::from_text(text)),
        (None, Some(path)) => ("store_file", reader.note("store_file", Secret::from_file(&path))?),
        (Some(_), Some(_)) => {
            reader.wrong("store_file", "given together with store: leave one out");
            return None;
        }
        (None, None) => {
            let given_by = |name| find(name).map(super::Setting::given_by).unwrap_or_default();
            reader.problems.add(format!(
                "store is missing: set it by {}, or a file that holds it by {}",
                given_by("store"),
                given_by("store_file")
            ));
            return None;
        }
    };
    // A location's own errors quote nothing of it.
    match text.reveal().parse() {
        Ok(Location::Memory) => {
            reader.wrong(
                name,
                "`memory` would lose every key and client at a restart: use sqlite:PATH or postgres://…",
            );
            None
        }
        Ok(Location::Postgres(database)) => {
            let database = database.admit_read_only(admits_read_only);
            Some(Location::Postgres(match text.file() {
                Some(file) => database.in_file(file),
                None => database,
            }))
        }
        read => reader.note(name, read.map_err(|error| error.to_string())),
    }
}

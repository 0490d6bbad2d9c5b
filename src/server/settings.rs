//! Settings of a server.

use std::{path::PathBuf, time::Duration};

use crate::{
    access::{
        CallerSettings, HashingSettings, IssueRules, LoginLimitSettings, RefreshSettings,
        TrustedIssuerSettings,
    },
    admission::AdmissionLimits,
    audit::AuditSettings,
    grpc::{self, TrustPrivacy, WatchLimits},
    http::Discovery,
    keys::KeySettings,
    listen::{CallMemoryLimits, ConnectionLimits, GrpcLimits, TlsFiles},
    revocations::RevocationSettings,
    store::{Location, OpenOptions},
    telemetry::TraceSettings,
    tokens::{IssuePolicy, SessionPolicy, VerifyPolicy},
};

/// Settings of a server: those of each module.
#[derive(Debug)]
pub struct Settings {
    /// The store.
    pub store: Location,
    /// How the store is opened.
    pub opening: OpenOptions,
    /// Signing keys.
    pub keys: KeySettings,
    /// Rules for the tokens of all clients.
    pub rules: IssueRules,
    /// Authentication of callers.
    pub callers: CallerSettings,
    /// Sources of callers' keys besides the store.
    pub caller_sources: CallerSources,
    /// Issuing.
    pub issue: IssuePolicy,
    /// Verifying.
    pub verify: VerifyPolicy,
    /// Discovery documents.
    pub discovery: Discovery,
    /// TLS files; none: plaintext.
    pub tls: Option<TlsFiles>,
    /// Limits of a call.
    pub calls: grpc::Limits,
    /// Rates and concurrency of calls.
    pub admission: AdmissionLimits,
    /// Audit log.
    pub audit: AuditSettings,
    /// Traces; none: calls are not traced.
    pub traces: Option<TraceSettings>,
    /// Login of users.
    pub people: PeopleSettings,
    /// Sessions.
    pub sessions: SessionPolicy,
    /// Revocations in memory.
    pub revocations: RevocationSettings,
    /// Limits of trust bundle watches.
    pub watches: WatchLimits,
    /// Access to the trust bundle.
    pub trust_privacy: TrustPrivacy,
    /// Size limit of a message, in bytes.
    pub max_message_bytes: usize,
    /// Connections, rounds and shutdown.
    pub serving: Serving,
}

/// Sources of callers' keys besides the store.
#[derive(Debug, Clone)]
pub struct CallerSources {
    /// Directory of clients' JWK sets.
    pub jwks_dir: Option<PathBuf>,
    /// Issuers whose tokens authenticate clients.
    pub trusted_issuers: Vec<TrustedIssuerSettings>,
    /// Refresh of the issuers' keys.
    pub refresh: RefreshSettings,
}

/// Login of users.
#[derive(Debug, Clone, Copy)]
pub struct PeopleSettings {
    /// Password hashing.
    pub hashing: HashingSettings,
    /// Limits of failed logins.
    pub limits: LoginLimitSettings,
}

/// Connections, rounds and shutdown.
#[derive(Debug, Clone, Copy)]
pub struct Serving {
    /// Limits of a gRPC connection.
    pub connections: GrpcLimits,
    /// Connections of the gRPC port.
    pub grpc_connections: ConnectionLimits,
    /// Connections of the Unix socket for gRPC.
    pub grpc_socket_connections: ConnectionLimits,
    /// Connections of the HTTP port.
    pub http_connections: ConnectionLimits,
    /// Memory of calls.
    pub call_memory: CallMemoryLimits,
    /// Whether the ports for HTTP and metrics use TLS too.
    pub http_tls: bool,
    /// Whether the HTTP port serves the metrics.
    pub metrics_on_http: bool,
    /// Whether the HTTP port serves the page of the development server.
    pub page: bool,
    /// Interval between checks of the TLS files.
    pub tls_check_interval: Duration,
    /// Timeout of a TLS handshake, of the HTTP/2 preface, and of the headers of an HTTP request.
    pub handshake_timeout: Duration,
    /// Interval between rounds that read other replicas' changes.
    pub refresh_interval: Duration,
    /// Whether the replica stays ready while some calls fail.
    pub ready_when_degraded: bool,
    /// How long calls are accepted after readiness reports the shutdown.
    pub drain_delay: Duration,
    /// How long calls in flight have to complete after that.
    pub drain_timeout: Duration,
}

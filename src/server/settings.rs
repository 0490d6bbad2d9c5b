//! What a server is made from.

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
    listen::{CallMemoryCaps, ConnectionCaps, GrpcLimits, TlsFiles},
    revocations::RevocationSettings,
    store::Location,
    telemetry::TraceSettings,
    tokens::{IssuePolicy, SessionPolicy, VerifyPolicy},
};

/// What a server is made from: each floor's own settings.
#[derive(Debug)]
pub struct Settings {
    /// Where the state is.
    pub store: Location,
    /// What steers the keys.
    pub keys: KeySettings,
    /// What holds for every client's tokens.
    pub rules: IssueRules,
    /// What steers authentication.
    pub callers: CallerSettings,
    /// Where authentication reads, besides the store.
    pub caller_sources: CallerSources,
    /// What steers issuing.
    pub issue: IssuePolicy,
    /// What steers verifying.
    pub verify: VerifyPolicy,
    /// What the public documents say.
    pub discovery: Discovery,
    /// TLS on the gRPC port; none means plaintext.
    pub tls: Option<TlsFiles>,
    /// The bounds of a call.
    pub calls: grpc::Limits,
    /// How much is taken on at once.
    pub admission: AdmissionLimits,
    /// What steers the audit log.
    pub audit: AuditSettings,
    /// Where traces are sent; none: nothing is traced.
    pub traces: Option<TraceSettings>,
    /// How people log in.
    pub people: PeopleSettings,
    /// What steers sessions.
    pub sessions: SessionPolicy,
    /// What steers the view of the revocations.
    pub revocations: RevocationSettings,
    /// The bounds of a watch of the trust bundle.
    pub watches: WatchLimits,
    /// What keeps the trust bundle from strangers.
    pub trust_privacy: TrustPrivacy,
    /// The largest message, in bytes.
    pub max_message_bytes: usize,
    /// How connections are served, and how serving ends.
    pub serving: Serving,
}

/// Where authentication reads, besides the store.
#[derive(Debug, Clone)]
pub struct CallerSources {
    /// The folder with clients' JWK sets.
    pub jwks_dir: Option<PathBuf>,
    /// The issuers whose tokens stand for clients.
    pub trusted_issuers: Vec<TrustedIssuerSettings>,
    /// How their keys are kept up to date.
    pub refresh: RefreshSettings,
}

/// How people log in.
#[derive(Debug, Clone, Copy)]
pub struct PeopleSettings {
    /// How passwords are hashed.
    pub hashing: HashingSettings,
    /// How often they may be guessed.
    pub limits: LoginLimitSettings,
}

/// How connections are served, and how serving ends.
#[derive(Debug, Clone, Copy)]
pub struct Serving {
    /// The bounds of a connection.
    pub connections: GrpcLimits,
    /// Connections at once, on the gRPC port.
    pub grpc_connections: ConnectionCaps,
    /// Connections at once, on the HTTP port.
    pub http_connections: ConnectionCaps,
    /// What calls may hold in memory.
    pub call_memory: CallMemoryCaps,
    /// Whether the HTTP port, and that of the metrics, are served over TLS too.
    pub http_tls: bool,
    /// Whether the metrics are served on the HTTP port.
    pub metrics_on_http: bool,
    /// How often changed TLS files are looked for.
    pub tls_check_interval: Duration,
    /// The longest that a TLS handshake, the preface of HTTP/2 or an HTTP request's head may take.
    pub handshake_timeout: Duration,
    /// How often other replicas' changes are looked for in the store.
    pub refresh_interval: Duration,
    /// Whether the replica stays ready while it fails some calls.
    pub ready_when_degraded: bool,
    /// How long calls are still taken after the server said that it is not ready.
    pub drain_delay: Duration,
    /// How long calls that are being served then have to finish.
    pub drain_timeout: Duration,
}

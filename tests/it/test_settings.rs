//! What a server in a test is made from, if the test says nothing else.

use std::time::Duration;

use tokend::{
    access::{
        Backoff, CallerSettings, HashCost, HashingSettings, IssueRules, LoginLimitSettings, RefreshSettings,
    },
    admission::AdmissionLimits,
    audit::AuditSettings,
    grpc::{Limits, TrustPrivacy, WatchLimits},
    http::Discovery,
    keys::{KeySettings, RotationSchedule, ScheduleSettings, SealingKey, SealingSettings, VerifierCaps},
    listen::{CallMemoryLimits, ConnectionLimits, GrpcLimits, Lifetime},
    model::{Algorithm, ClientLimits, ClientSettings, Pattern, Permissions, Ttl},
    revocations::RevocationSettings,
    server::{CallerSources, PeopleSettings, Serving, Settings},
    store::{Location, OpenOptions},
    tokens::{IssuePolicy, SessionPolicy, VerifyPolicy},
};

use crate::harness::{ISSUER, SEALING_KEY};

/// The schedule of the defaults.
pub fn schedule() -> ScheduleSettings {
    let day = Duration::from_secs(86_400);
    ScheduleSettings {
        rotation_period: 30 * day,
        publish_ahead: day,
        max_ttl: Ttl::from_minutes(24 * 60),
        retire_window: None,
        max_leeway: Duration::from_secs(60),
        jwks_max_age: Duration::from_secs(300),
        await_verifiers: Duration::ZERO,
    }
}

pub fn settings() -> Settings {
    Settings {
        store: Location::Memory,
        opening: OpenOptions::CREATE,
        keys: KeySettings {
            sealing: SealingSettings::only(SealingKey::parse(SEALING_KEY).unwrap()),
            algorithms: vec![Algorithm::Es256],
            shared_secret: None,
            lookup_interval: Duration::from_millis(1),
            // Longer than any machine takes; where the wait is what is tested, it is another.
            lookup_wait: Duration::from_secs(10),
            jwks_max_age: Duration::from_secs(300),
            schedule: RotationSchedule::new(schedule()).unwrap(),
        },
        callers: CallerSettings {
            audiences: vec![ISSUER.to_owned(), format!("{ISSUER}/oauth2/token")],
            max_token_bytes: 8192,
            assertion_max_ttl: Duration::from_secs(300),
            leeway: Duration::from_secs(10),
            failures_per_minute: std::num::NonZeroU32::new(60).unwrap(),
        },
        caller_sources: CallerSources {
            jwks_dir: None,
            trusted_issuers: Vec::new(),
            refresh: RefreshSettings {
                interval: Duration::from_secs(300),
                max_age: Duration::from_secs(3600),
                timeout: Duration::from_secs(5),
            },
        },
        rules: IssueRules { max_ttl: Ttl::from_minutes(24 * 60), audience_algorithms: Vec::new() },
        issue: IssuePolicy { issuer: ISSUER.to_owned(), max_token_bytes: 8192 },
        verify: VerifyPolicy {
            issuer: ISSUER.to_owned(),
            max_token_bytes: 8192,
            leeway: Duration::ZERO,
            max_leeway: Duration::from_secs(60),
            cache_ttl: Duration::from_secs(30),
            cache_bytes: 1 << 20,
        },
        discovery: Discovery {
            issuer: ISSUER.to_owned(),
            jwks_uri: format!("{ISSUER}/.well-known/jwks.json"),
            oauth: Some(tokend::oauth::metadata(ISSUER, false)),
        },
        tls: None,
        people: people(),
        sessions: SessionPolicy {
            idle_ttl: Duration::from_secs(7 * 86_400),
            max_ttl: Duration::from_secs(30 * 86_400),
            reuse_window: Duration::from_secs(5),
        },
        // Clocks leap in tests: those about stale state say so.
        revocations: RevocationSettings { staleness_bound: Duration::from_secs(300), serve_stale: true },
        calls: Limits { request_timeout: Duration::from_secs(20) },
        admission: AdmissionLimits { client: ClientLimits::default(), waiting: 1000 },
        audit: AuditSettings::off(),
        traces: None,
        watches: WatchLimits {
            most: VerifierCaps { all: 100, of_one_source: 100 },
            heartbeat: Duration::from_secs(3600),
            unread: Duration::from_secs(3600),
        },
        trust_privacy: TrustPrivacy::default(),
        max_message_bytes: 1024 * 1024,
        serving: Serving {
            connections: GrpcLimits {
                max_concurrent_streams: 256,
                max_header_bytes: 16 * 1024,
                keepalive_interval: Duration::from_secs(30),
                keepalive_timeout: Duration::from_secs(20),
                lifetime: Lifetime {
                    idle_timeout: Duration::from_secs(3600),
                    max_age: Duration::from_secs(3600),
                    grace: Duration::from_secs(10),
                },
            },
            grpc_connections: ConnectionLimits { total: 256, per_source: 256 },
            grpc_socket_connections: ConnectionLimits { total: 256, per_source: 256 },
            http_connections: ConnectionLimits { total: 256, per_source: 256 },
            call_memory: CallMemoryLimits { total: 256 * 1024 * 1024, per_source: 256 * 1024 * 1024 },
            http_tls: false,
            metrics_on_http: true,
            page: false,
            tls_check_interval: Duration::from_secs(3600),
            handshake_timeout: Duration::from_secs(10),
            refresh_interval: Duration::from_secs(3600),
            ready_when_degraded: false,
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(10),
        },
    }
}

/// Cheap hashes, and limits that no test reaches by accident.
pub const fn people() -> PeopleSettings {
    let backoff = Backoff { free: 1000, longest: Duration::from_secs(60), forget: Duration::from_secs(60) };
    PeopleSettings {
        hashing: HashingSettings { cost: HashCost { memory: 64, passes: 1 }, parallelism: 2, queue: 100 },
        limits: LoginLimitSettings {
            name_at_source: backoff,
            name: backoff,
            source: backoff,
            remembered: 1000,
        },
    }
}

/// Permission for everything.
pub fn everything() -> ClientSettings {
    let any = || vec![Pattern::any()];
    ClientSettings {
        permissions: Permissions {
            methods: any(),
            audiences: any(),
            scopes: any(),
            subjects: any(),
            claims: any(),
            max_ttl: Ttl::from_minutes(24 * 60),
            verify_audiences: vec![Pattern::parse("all").unwrap(), Pattern::any()],
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
        default_audiences: vec!["all".to_owned()],
        ..ClientSettings::default()
    }
}

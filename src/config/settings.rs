//! From the settings to what each floor wants to know.

use std::time::Duration;

use super::{Config, Metrics, Transport};
use crate::{
    access::IssueRules,
    grpc::{Limits, WatchLimits},
    http::Discovery,
    keys::{KeySettings, SharedSecret},
    server::{Serving, Settings},
    tokens::{IssuePolicy, VerifyPolicy},
};

/// The shortest time between two look-ups in the store for keys that are not in memory: strangers may name as many as they like.
const KEY_LOOKUP_INTERVAL: Duration = Duration::from_millis(50);

/// How long a call waits for such a look-up: one interval, and a store that answers slowly. A caller that must know whether to let
/// a request in gains nothing by a longer wait while the store hangs.
const KEY_LOOKUP_WAIT: Duration = Duration::from_millis(100);

/// How often a verifier that watches is sent a sign of life: it may take a longer silence for a broken connection.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How often changed TLS files are looked for: they are small, and in the page cache.
const TLS_CHECK: Duration = Duration::from_secs(1);

/// How long a verifier that watches may leave unread what it was sent.
const UNREAD: Duration = Duration::from_secs(30);

impl From<Config> for Settings {
    fn from(config: Config) -> Self {
        let (grpc_connections, http_connections) = config.connections.caps();
        let (tls, http_tls) = match config.transport {
            Transport::Tls { files, http } => (Some(files), http),
            Transport::Plaintext => (None, false),
        };
        let (callers, caller_sources) = config.callers;
        Self {
            callers,
            caller_sources,
            store: config.store,
            keys: KeySettings {
                sealing: config.sealing,
                algorithms: config.algorithms,
                shared_secret: config.shared_secret.map(|secret| SharedSecret(secret.bytes)),
                lookup_interval: KEY_LOOKUP_INTERVAL,
                lookup_wait: KEY_LOOKUP_WAIT,
                jwks_max_age: config.jwks_max_age,
                schedule: config.schedule,
            },
            rules: IssueRules { max_ttl: config.max_ttl, audience_algorithms: config.audience_algorithms },
            issue: IssuePolicy { issuer: config.issuer.clone(), max_token_bytes: config.max_token_bytes },
            verify: VerifyPolicy {
                issuer: config.issuer.clone(),
                max_token_bytes: config.max_token_bytes,
                leeway: config.leeway,
                max_leeway: config.max_leeway,
                cache_ttl: config.cache_ttl,
                cache_bytes: config.verify_cache_bytes,
            },
            discovery: Discovery { issuer: config.issuer, jwks_uri: config.jwks_uri },
            tls,
            admission: config.trace.admission,
            audit: config.trace.audit,
            traces: config.trace.traces,
            calls: Limits { request_timeout: config.request_timeout },
            people: config.people,
            sessions: config.sessions,
            revocations: config.revocations,
            watches: WatchLimits { most: config.max_watches, heartbeat: HEARTBEAT, unread: UNREAD },
            trust_privacy: config.trust_privacy,
            max_message_bytes: config.max_message_bytes,
            serving: Serving {
                connections: config.connections.limits(),
                grpc_connections,
                http_connections,
                call_memory: config.connections.call_memory(),
                http_tls,
                metrics_on_http: config.metrics == Metrics::WithHttp,
                tls_check_interval: TLS_CHECK,
                handshake_timeout: config.connections.handshake_timeout,
                refresh_interval: config.refresh_interval,
                ready_when_degraded: config.ready_when_degraded,
                drain_delay: config.drain_delay,
                drain_timeout: config.drain_timeout,
            },
        }
    }
}

//! From the settings to what each floor wants to know.

use std::time::Duration;

use super::{Config, Transport};
use crate::{
    access::IssueRules,
    grpc::{Limits, WatchLimits},
    http::Discovery,
    keys::{KeySettings, SharedSecret},
    listen::GrpcLimits,
    server::{Serving, Settings, TlsFiles},
    tokens::{IssuePolicy, VerifyPolicy},
};

/// How long the store is not asked again after a look for an unknown key: strangers may name as many as they like.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(5);

/// How often a verifier that watches is sent a sign of life: it may take a longer silence for a broken connection.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long a verifier that watches may leave unread what it was sent.
const UNREAD: Duration = Duration::from_secs(30);

impl From<Config> for Settings {
    fn from(config: Config) -> Self {
        Self {
            store: config.store,
            keys: KeySettings {
                sealing: config.sealing,
                algorithms: config.algorithms,
                shared_secret: config.shared_secret.map(|secret| SharedSecret(secret.bytes)),
                unknown_key_pause: UNKNOWN_KEY_PAUSE,
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
            },
            discovery: Discovery { issuer: config.issuer, jwks_uri: config.jwks_uri },
            tls: match config.transport {
                Transport::Tls { cert_file, key_file } => {
                    Some(TlsFiles { certificate: cert_file, key: key_file })
                }
                Transport::Plaintext => None,
            },
            calls: Limits { request_timeout: config.request_timeout },
            watches: WatchLimits { most: config.max_watches, heartbeat: HEARTBEAT, unread: UNREAD },
            max_message_bytes: config.max_message_bytes,
            serving: Serving {
                connections: GrpcLimits {
                    max_concurrent_streams: config.max_concurrent_streams,
                    max_header_bytes: config.max_header_bytes,
                    keepalive_interval: config.keepalive_interval,
                    keepalive_timeout: config.keepalive_timeout,
                },
                max_connections: config.max_connections,
                handshake_timeout: config.handshake_timeout,
                refresh_interval: config.refresh_interval,
                drain_delay: config.drain_delay,
                drain_timeout: config.drain_timeout,
            },
        }
    }
}

//! gRPC: wire to model and back.
//!
//! May import everything below. Invariant: `status.rs` alone makes statuses, and no method answers without having
//! authenticated its caller.

mod admission;
mod caller;
mod client_service;
mod convert;
mod edge;
mod health;
mod key_service;
mod login_metrics;
mod metrics;
mod repeat;
mod revoke_metrics;
mod session_metrics;
mod session_service;
mod status;
mod token_service;
mod trail;
mod trust;
mod user_service;

use std::sync::Arc;

use tonic::service::Routes;

pub use admission::{Admission, AdmissionLimits, AdmissionMetrics};
pub(crate) use convert::{
    CLIENT_FIELDS, read_client, read_exchange_request, read_introspect_request, read_issue_request,
    read_login_request, read_refresh_request, read_revoke_request, read_verify_request, shown_client,
    struct_members,
};
use edge::UntilDrain;
pub use edge::{Drain, Edge, EdgeParts, Limits};
pub use health::Health;
pub use login_metrics::LoginMetrics;
pub use metrics::{RpcMetrics, TokenMetrics};
pub use repeat::Repeats;
pub use revoke_metrics::RevokeMetrics;
pub use session_metrics::SessionMetrics;
pub use trust::{TrustPrivacy, WatchLimits};

use crate::{
    access::{Authenticator, ClientRegistry, IssueRules, KeyRegistry, UserRegistry},
    keys::{KeyRing, Verifiers},
    proto::{self, v1},
    revocations::Revocations,
    tokens::{Exchanger, Introspector, Issuer, Logins, Revoker, Sessions, Verifier},
};

/// What the services work with.
#[derive(Debug)]
pub struct Parts {
    /// Checks who calls.
    pub authenticator: Arc<Authenticator>,
    /// Keeps the clients.
    pub clients: Arc<ClientRegistry>,
    /// Remembers the answers of requests that may come again.
    pub repeats: Arc<Repeats>,
    /// Keeps the users.
    pub users: Arc<UserRegistry>,
    /// Keeps the keys.
    pub keys: Arc<KeyRegistry>,
    /// The keys in use.
    pub ring: Arc<KeyRing>,
    /// The verifiers that watch.
    pub verifiers: Arc<Verifiers>,
    /// The bounds of a watch.
    pub watches: WatchLimits,
    /// What keeps the trust bundle from strangers.
    pub privacy: TrustPrivacy,
    /// Tells watches when to end.
    pub drain: Drain,
    /// What holds for every client's tokens.
    pub rules: IssueRules,
    /// Issues tokens.
    pub issuer: Arc<Issuer>,
    /// Verifies tokens.
    pub verifier: Arc<Verifier>,
    /// Logs people in.
    pub logins: Logins,
    /// Keeps sessions.
    pub sessions: Arc<Sessions>,
    /// Revokes tokens.
    pub revoker: Revoker,
    /// Says whether tokens are good.
    pub introspector: Introspector,
    /// Exchanges tokens.
    pub exchanger: Exchanger,
    /// What is revoked.
    pub revocations: Arc<Revocations>,
    /// Counts tokens.
    pub tokens: Arc<TokenMetrics>,
    /// Counts logins.
    pub login_metrics: Arc<LoginMetrics>,
    /// Counts revocations.
    pub revoke_metrics: Arc<RevokeMetrics>,
    /// Counts sessions.
    pub session_metrics: Arc<SessionMetrics>,
}

/// The longest message of a watch, in bytes: it needs no credential, and holds a name and a number.
const LONGEST_WATCH_MESSAGE: usize = 4096;

/// And of health and reflection: it holds a name.
const LONGEST_NAME_MESSAGE: usize = 4096;

/// Reflection could not read the descriptors.
#[derive(Debug, thiserror::Error)]
#[error("the descriptors for reflection cannot be read: {0}")]
pub struct ReflectionError(String);

/// Every service on the gRPC port.
///
/// # Errors
/// When the descriptors in the binary are damaged.
pub fn routes(parts: Parts, health: &Health, max_message_bytes: usize) -> Result<Routes, ReflectionError> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
    };
    let failed = |error: tonic_reflection::server::Error| ReflectionError(error.to_string());
    let tokens = token_service::TokenApi {
        authenticator: Arc::clone(&parts.authenticator),
        rules: parts.rules,
        issuer: parts.issuer,
        verifier: parts.verifier,
        logins: parts.logins,
        sessions: Arc::clone(&parts.sessions),
        revoker: parts.revoker,
        introspector: parts.introspector,
        exchanger: parts.exchanger,
        repeats: Arc::clone(&parts.repeats),
        metrics: parts.tokens,
        login_metrics: parts.login_metrics,
        revoke_metrics: parts.revoke_metrics,
        session_metrics: parts.session_metrics,
    };
    let tokens = Arc::new(tokens);
    let keys = key_service::KeyApi { authenticator: Arc::clone(&parts.authenticator), keys: parts.keys };
    let trust = trust::TrustApi {
        authenticator: Arc::clone(&parts.authenticator),
        privacy: parts.privacy,
        ring: parts.ring,
        verifiers: parts.verifiers,
        revocations: parts.revocations,
        limits: parts.watches,
        drain: parts.drain.clone(),
    };
    let drain = parts.drain;
    let users = user_service::UserApi {
        authenticator: Arc::clone(&parts.authenticator),
        users: parts.users,
        repeats: Arc::clone(&parts.repeats),
    };
    let sessions = session_service::SessionApi {
        authenticator: Arc::clone(&parts.authenticator),
        sessions: parts.sessions,
        tokens: Arc::clone(&tokens),
    };
    let clients = client_service::ClientApi {
        authenticator: parts.authenticator,
        clients: parts.clients,
        repeats: parts.repeats,
    };
    let mut routes = Routes::builder();
    routes
        .add_service(
            v1::token_service_server::TokenServiceServer::new(token_service::SharedTokenApi(tokens))
                .max_decoding_message_size(max_message_bytes),
        )
        .add_service(
            v1::client_service_server::ClientServiceServer::new(clients)
                .max_decoding_message_size(max_message_bytes),
        )
        .add_service(
            v1::user_service_server::UserServiceServer::new(users)
                .max_decoding_message_size(max_message_bytes),
        )
        .add_service(
            v1::session_service_server::SessionServiceServer::new(sessions)
                .max_decoding_message_size(max_message_bytes),
        )
        .add_service(
            v1::key_service_server::KeyServiceServer::new(keys).max_decoding_message_size(max_message_bytes),
        )
        .add_service(
            v1::trust_bundle_service_server::TrustBundleServiceServer::new(trust)
                .max_decoding_message_size(LONGEST_WATCH_MESSAGE),
        )
        .add_service(UntilDrain {
            service: health.service().max_decoding_message_size(LONGEST_NAME_MESSAGE),
            drain: drain.clone(),
        })
        .add_service(UntilDrain {
            service: reflection().build_v1().map_err(failed)?.max_decoding_message_size(LONGEST_NAME_MESSAGE),
            drain: drain.clone(),
        })
        .add_service(UntilDrain {
            service: reflection()
                .build_v1alpha()
                .map_err(failed)?
                .max_decoding_message_size(LONGEST_NAME_MESSAGE),
            drain,
        });
    Ok(routes.routes().prepare())
}

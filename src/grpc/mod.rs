//! gRPC: wire to model and back.
//!
//! May import everything below. Invariant: `status.rs` alone makes statuses, and no method answers without having
//! authenticated its caller.

mod call;
mod caller;
mod client_service;
mod convert;
mod edge;
mod feed;
mod framing;
mod health;
mod key_service;
mod login_metrics;
mod methods;
mod metrics;
mod repeat;
mod revoke_metrics;
mod session_metrics;
mod session_service;
mod status;
mod token_service;
mod trust;
mod user_service;

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tonic::service::Routes;

use self::{
    call::CallContext,
    framing::{decode, encode},
    methods::MethodIndex,
    status::CallError,
};

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
    clock::Clock,
    keys::{KeyRing, Verifiers},
    proto::{self, v1},
    revocations::Revocations,
    tokens::{
        Exchanger, Introspector, Issuer, Logins, Revoker, Sessions, VerifiedToken, Verifier, VerifyPolicy,
    },
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

/// The services: through the framework, and, for the methods that are called most often, directly.
#[derive(Debug, Clone)]
pub struct Services {
    routes: Routes,
    tokens: Arc<token_service::TokenApi>,
    health: Health,
    max_message_bytes: usize,
}

impl Services {
    /// Whether [`Self::answer_directly`] serves the method.
    fn answers_directly(method: MethodIndex) -> bool {
        [MethodIndex::VERIFY, MethodIndex::ISSUE, MethodIndex::BATCH_VERIFY, MethodIndex::HEALTH_CHECK]
            .contains(&method)
    }

    /// The longest message of a request to the method, in bytes.
    fn max_message_bytes(&self, method: MethodIndex) -> usize {
        if method == MethodIndex::HEALTH_CHECK { LONGEST_NAME_MESSAGE } else { self.max_message_bytes }
    }

    /// The response message to a request message, with its prefix.
    async fn answer_directly(
        &self,
        call: &Arc<CallContext>,
        method: MethodIndex,
        headers: &HeaderMap,
        message: Bytes,
    ) -> Result<Bytes, CallError> {
        let tokens = &self.tokens;
        match method {
            MethodIndex::VERIFY => tokens.verify(call, headers, decode(message)?).await,
            // Boxed, since each of them needs far more room than VerifyToken.
            MethodIndex::BATCH_VERIFY => Box::pin(tokens.batch_verify(call, headers, decode(message)?)).await,
            MethodIndex::ISSUE => Ok(encode(&Box::pin(tokens.issue(call, headers, decode(message)?)).await?)),
            MethodIndex::HEALTH_CHECK => Ok(encode(&self.health.check(&decode(message)?)?)),
            _ => Err(CallError::MethodUnknown),
        }
    }

    /// All methods, through the framework.
    fn routes(&self) -> Routes {
        self.routes.clone()
    }
}

/// The response to VerifyToken for a token that may be trusted, with its prefix.
pub(crate) fn verified_response(verified: &VerifiedToken) -> Bytes {
    convert::verified_response(verified, convert::VerifiedFields::ALL)
}

/// A verifier whose cached tokens hold their claims as responses of this API carry them.
pub fn verifier(
    policy: VerifyPolicy,
    ring: &Arc<KeyRing>,
    revocations: &Arc<Revocations>,
    clock: &Arc<dyn Clock>,
) -> Verifier {
    let (ring, revocations) = (Arc::clone(ring), Arc::clone(revocations));
    Verifier::new(policy, ring, revocations, Arc::clone(clock), convert::encode_claims)
}

/// Reflection could not read the descriptors.
#[derive(Debug, thiserror::Error)]
#[error("the descriptors for reflection cannot be read: {0}")]
pub struct ReflectionError(String);

/// Every service on the gRPC port.
///
/// # Errors
/// When the descriptors in the binary are damaged.
pub fn services(
    parts: Parts,
    health: &Health,
    max_message_bytes: usize,
) -> Result<Services, ReflectionError> {
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
        drain: parts.drain.clone(),
        metrics: parts.tokens,
        login_metrics: parts.login_metrics,
        revoke_metrics: parts.revoke_metrics,
        session_metrics: parts.session_metrics,
    };
    let tokens = Arc::new(tokens);
    let direct = Arc::clone(&tokens);
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
    let routes = routes.routes().prepare();
    Ok(Services { routes, tokens: direct, health: health.clone(), max_message_bytes })
}

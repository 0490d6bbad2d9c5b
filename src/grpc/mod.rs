//! The gRPC port: from messages to the model and back.
//!
//! May import everything below. Invariants: only `status` makes statuses, and no method runs before its caller is authenticated and admitted,
//! unless the method is public.

pub(crate) mod bearer;
mod call;
mod convert;
mod edge;
mod framing;
mod idempotency;
mod methods;
mod metrics;
mod response_stream;
mod services;
mod status;

use std::sync::Arc;

use bytes::Bytes;
#[cfg(feature = "envoy")]
use envoy_types::pb::envoy::service::auth::v3::authorization_server::AuthorizationServer;
use http::HeaderMap;
use tonic::service::Routes;

use self::{
    call::CallContext,
    framing::{decode, encode},
    methods::MethodIndex,
    services::token,
    status::CallError,
};

pub(crate) use convert::{
    CLIENT_FIELDS, read_client, read_exchange_request, read_introspect_request, read_issue_request,
    read_login_request, read_refresh_request, read_revoke_request, read_verify_request, session_claims,
    shown_client, struct_members, timestamp,
};
use edge::UntilDrain;
pub use edge::{Drain, Edge, EdgeParts, Limits};
pub use idempotency::RequestResponses;
pub use metrics::{ApiMetrics, RpcMetrics};
pub use services::{Api, Health, StatusSource, TrustPrivacy, WatchLimits};

use crate::{
    clock::Clock,
    keys::KeyRing,
    proto::{
        self,
        v1::{
            client_service_server::ClientServiceServer, key_service_server::KeyServiceServer,
            session_service_server::SessionServiceServer, status_service_server::StatusServiceServer,
            token_service_server::TokenServiceServer, trust_bundle_service_server::TrustBundleServiceServer,
            user_service_server::UserServiceServer,
        },
    },
    revocations::Revocations,
    tokens::{VerifiedToken, Verifier, VerifyPolicy},
};

/// The longest message of a watch, in bytes: watches need no credential, and their messages hold a name and a number.
const MAX_WATCH_MESSAGE: usize = 4096;

/// The longest message of health and reflection, in bytes: it holds a name.
const MAX_NAME_MESSAGE: usize = 4096;

/// The services of the gRPC port.
#[derive(Debug, Clone)]
pub struct Services {
    routes: Routes,
    api: Arc<Api>,
    health: Health,
    max_message_bytes: usize,
}

impl Services {
    /// Whether [`Self::call_directly`] serves the method. It serves the most frequent ones.
    fn is_direct(method: MethodIndex) -> bool {
        [MethodIndex::VERIFY, MethodIndex::ISSUE, MethodIndex::BATCH_VERIFY, MethodIndex::HEALTH_CHECK]
            .contains(&method)
    }

    /// The longest message of a request to the method, in bytes.
    fn max_message_bytes(&self, method: MethodIndex) -> usize {
        if method == MethodIndex::HEALTH_CHECK { MAX_NAME_MESSAGE } else { self.max_message_bytes }
    }

    /// Calls a method without tonic. Returns the framed response.
    async fn call_directly(
        &self,
        call: &Arc<CallContext>,
        method: MethodIndex,
        headers: &HeaderMap,
        message: Bytes,
    ) -> Result<Bytes, CallError> {
        let api = &self.api;
        match method {
            MethodIndex::VERIFY => token::verify_token(api, call, headers, decode(message)?).await,
            // Boxed, because their futures are far larger than that of VerifyToken.
            MethodIndex::BATCH_VERIFY => {
                Box::pin(token::batch_verify_tokens(api, call, headers, decode(message)?)).await
            }
            MethodIndex::ISSUE => {
                Ok(encode(&Box::pin(token::issue_token(api, call, headers, decode(message)?)).await?))
            }
            MethodIndex::HEALTH_CHECK => Ok(encode(&self.health.check(&decode(message)?)?)),
            _ => Err(CallError::MethodUnknown),
        }
    }

    /// All services, through tonic.
    fn routes(&self) -> Routes {
        self.routes.clone()
    }
}

/// The framed response of VerifyToken for a valid token.
pub(crate) fn verified_response(verified: &VerifiedToken) -> Bytes {
    convert::verified_response(verified, convert::VerifiedFields::ALL)
}

/// Makes a verifier that caches the claims of tokens as responses encode them.
pub fn verifier(
    policy: VerifyPolicy,
    ring: &Arc<KeyRing>,
    revocations: &Arc<Revocations>,
    clock: &Arc<dyn Clock>,
) -> Verifier {
    let (ring, revocations) = (Arc::clone(ring), Arc::clone(revocations));
    Verifier::new(policy, ring, revocations, Arc::clone(clock), convert::encode_claims)
}

/// The descriptors of reflection cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the descriptors for reflection cannot be read: {0}")]
pub struct ReflectionError(String);

/// Makes every service of the gRPC port.
///
/// # Errors
/// When the descriptors in the binary are damaged.
pub fn services(api: Api, health: &Health, max_message_bytes: usize) -> Result<Services, ReflectionError> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
    };
    let failed = |error: tonic_reflection::server::Error| ReflectionError(error.to_string());
    let drain = api.drain.clone();
    let api = Arc::new(api);
    let mut routes = Routes::builder();
    macro_rules! add {
        ($($server:ident: $max_bytes:expr),*) => {
            $(routes.add_service($server::new(Arc::clone(&api)).max_decoding_message_size($max_bytes));)*
        };
    }
    add!(
        TokenServiceServer: max_message_bytes,
        ClientServiceServer: max_message_bytes,
        UserServiceServer: max_message_bytes,
        SessionServiceServer: max_message_bytes,
        KeyServiceServer: max_message_bytes,
        StatusServiceServer: MAX_NAME_MESSAGE,
        TrustBundleServiceServer: MAX_WATCH_MESSAGE
    );
    #[cfg(feature = "envoy")]
    routes.add_service(
        AuthorizationServer::new(services::envoy::ExternalAuthorization(Arc::clone(&api)))
            .max_decoding_message_size(max_message_bytes),
    );
    routes
        .add_service(UntilDrain {
            service: health.service().max_decoding_message_size(MAX_NAME_MESSAGE),
            drain: drain.clone(),
        })
        .add_service(UntilDrain {
            service: reflection().build_v1().map_err(failed)?.max_decoding_message_size(MAX_NAME_MESSAGE),
            drain: drain.clone(),
        })
        .add_service(UntilDrain {
            service: reflection()
                .build_v1alpha()
                .map_err(failed)?
                .max_decoding_message_size(MAX_NAME_MESSAGE),
            drain,
        });
    let routes = routes.routes().prepare();
    Ok(Services { routes, api, health: health.clone(), max_message_bytes })
}

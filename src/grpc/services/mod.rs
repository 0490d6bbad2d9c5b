//! The methods, one file a service or, in `token/`, a method.
//!
//! Each method authenticates its caller first, then reads the request, asks the policy, acts and responds. May import everything in
//! `grpc`; nothing outside `grpc/mod.rs` imports from here.

mod admin;
mod client;
#[cfg(feature = "envoy")]
pub(super) mod envoy;
mod health;
mod key;
mod session;
mod status;
pub(super) mod token;
mod trust;
mod user;

use std::sync::Arc;

pub use health::Health;
pub use status::StatusSource;
pub use trust::{TrustPrivacy, WatchLimits};

use super::{ApiMetrics, Drain, RequestResponses};
use crate::{
    access::{Authenticator, ClientRegistry, IssueRules, KeyRegistry, UserRegistry},
    keys::{KeyRing, Verifiers},
    revocations::Revocations,
    tokens::{Exchanger, Introspector, Issuer, Logins, Revoker, Sessions, Verifier},
};

/// What the methods work with. Every service of `tokend.v1` is implemented for `Arc<Api>`: work that continues after the caller has
/// disconnected owns it.
#[derive(Debug)]
pub struct Api {
    /// Authenticates callers.
    pub authenticator: Arc<Authenticator>,
    /// Creates and changes clients.
    pub clients: Arc<ClientRegistry>,
    /// The responses of requests with a `request_id`.
    pub responses: Arc<RequestResponses>,
    /// Creates and changes users.
    pub users: Arc<UserRegistry>,
    /// Creates and changes keys.
    pub keys: Arc<KeyRegistry>,
    /// The keys in use.
    pub ring: Arc<KeyRing>,
    /// The verifiers that watch the trust bundle.
    pub verifiers: Arc<Verifiers>,
    /// The limits of a watch.
    pub watches: WatchLimits,
    /// Who may read the trust bundle.
    pub privacy: TrustPrivacy,
    /// Ends streams when the server stops.
    pub drain: Drain,
    /// The limits of every client's tokens.
    pub rules: IssueRules,
    /// Issues tokens.
    pub issuer: Arc<Issuer>,
    /// Verifies tokens.
    pub verifier: Arc<Verifier>,
    /// Checks user names and passwords.
    pub logins: Logins,
    /// Begins, refreshes and lists sessions.
    pub sessions: Arc<Sessions>,
    /// Revokes tokens and sessions.
    pub revoker: Revoker,
    /// Introspects tokens.
    pub introspector: Introspector,
    /// Exchanges tokens.
    pub exchanger: Exchanger,
    /// The revocations in memory.
    pub revocations: Arc<Revocations>,
    /// The state of this replica.
    pub status: Arc<dyn StatusSource>,
    /// Counts tokens, logins, sessions and revocations.
    pub metrics: ApiMetrics,
}

/// Implements a generated service trait for `Arc<Api>`: each method calls the function of its own name in the same file, with the
/// context of the call.
macro_rules! implement_service {
    ($service:path { $($method:ident($request:ident) -> $response:ident;)* $({ $($other:item)* })? }) => {
        #[tonic::async_trait]
        impl $service for std::sync::Arc<crate::grpc::services::Api> {
            $(
                async fn $method(
                    &self,
                    request: tonic::Request<crate::proto::v1::$request>,
                ) -> Result<tonic::Response<crate::proto::v1::$response>, tonic::Status> {
                    let call = crate::grpc::call::CallContext::of(request.extensions())?;
                    call.respond($method(self, &call, request).await)
                }
            )*
            $($($other)*)?
        }
    };
}
use implement_service;

//! `tokend.v1.TokenService`.

mod exchange;
mod introspect;
mod issue;
mod login;
mod refresh;
mod revoke;
mod stream;
mod verify;

use std::sync::Arc;

use http::HeaderMap;
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::{
    Drain, LoginMetrics, Repeats, RevokeMetrics, SessionMetrics, TokenMetrics, call::CallContext, feed::Feed,
    framing, repeat::Ticket,
};
use crate::{
    access::{Authenticator, Caller, IssueRules},
    model::{Client, Method},
    proto::v1::{self, token_service_server::TokenService},
    tokens::{Exchanger, Introspector, Issuer, Logins, Revoker, Sessions, Verifier, VerifyError},
};

/// The service, shared with what goes on when its caller has gone.
#[derive(Debug)]
pub(super) struct SharedTokenApi(pub(super) Arc<TokenApi>);

#[derive(Debug)]
pub(super) struct TokenApi {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) rules: IssueRules,
    pub(super) issuer: Arc<Issuer>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) logins: Logins,
    pub(super) sessions: Arc<Sessions>,
    pub(super) revoker: Revoker,
    pub(super) introspector: Introspector,
    pub(super) exchanger: Exchanger,
    pub(super) repeats: Arc<Repeats>,
    pub(super) drain: Drain,
    pub(super) metrics: Arc<TokenMetrics>,
    pub(super) login_metrics: Arc<LoginMetrics>,
    pub(super) session_metrics: Arc<SessionMetrics>,
    pub(super) revoke_metrics: Arc<RevokeMetrics>,
}

impl TokenApi {
    fn ticket(
        &self,
        client: &Client,
        method: Method,
        request_id: &str,
        request: &impl Message,
    ) -> Option<Ticket> {
        self.repeats.ticket(&client.client_id, method, request_id, request)
    }

    /// What `check` finds in memory. If a key is not there, [looks it up](Self::look_up_keys) and checks again.
    async fn with_keys<T>(
        &self,
        caller: &mut Caller,
        check: impl Fn() -> Result<T, VerifyError>,
    ) -> Result<T, VerifyError> {
        match check() {
            Err(VerifyError::KeyNotInMemory) => {
                self.look_up_keys(caller).await?;
                check().map_err(VerifyError::after_lookup)
            }
            outcome => outcome,
        }
    }

    /// Waits for a look-up of keys. The call gives up its permit before: what waits for the store takes no room from what works in
    /// memory.
    async fn look_up_keys(&self, caller: &mut Caller) -> Result<(), VerifyError> {
        caller.permit().leave_class();
        self.verifier.look_up_keys().await
    }
}

/// What the methods that are also answered without the framework take.
fn parts<T>(request: Request<T>) -> Result<(Arc<CallContext>, HeaderMap, T), Status> {
    let call = CallContext::of(request.extensions())?;
    let (metadata, _, message) = request.into_parts();
    Ok((call, metadata.into_headers(), message))
}

#[tonic::async_trait]
impl TokenService for SharedTokenApi {
    async fn issue_token(
        &self,
        request: Request<v1::IssueTokenRequest>,
    ) -> Result<Response<v1::IssueTokenResponse>, Status> {
        let (call, headers, message) = parts(request)?;
        call.respond(self.0.issue(&call, &headers, message).await)
    }

    async fn verify_token(
        &self,
        request: Request<v1::VerifyTokenRequest>,
    ) -> Result<Response<v1::VerifyTokenResponse>, Status> {
        let (call, headers, message) = parts(request)?;
        call.respond(self.0.verify(&call, &headers, message).await.and_then(framing::decode_own))
    }

    async fn batch_verify_tokens(
        &self,
        request: Request<v1::BatchVerifyTokensRequest>,
    ) -> Result<Response<v1::BatchVerifyTokensResponse>, Status> {
        let (call, headers, message) = parts(request)?;
        call.respond(self.0.batch_verify(&call, &headers, message).await.and_then(framing::decode_own))
    }

    type StreamVerifyTokensStream = Feed<v1::StreamVerifyTokensResponse>;

    async fn stream_verify_tokens(
        &self,
        request: Request<Streaming<v1::StreamVerifyTokensRequest>>,
    ) -> Result<Response<Self::StreamVerifyTokensStream>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.0.stream_verify(&call, request).await)
    }

    async fn login(&self, request: Request<v1::LoginRequest>) -> Result<Response<v1::LoginResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.0.log_in(&call, request).await)
    }

    async fn refresh_token(
        &self,
        request: Request<v1::RefreshTokenRequest>,
    ) -> Result<Response<v1::RefreshTokenResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.0.refresh(&call, request).await)
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.0.revoke(&call, request).await)
    }

    async fn introspect_token(
        &self,
        request: Request<v1::IntrospectTokenRequest>,
    ) -> Result<Response<v1::IntrospectTokenResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.0.introspect(&call, request).await)
    }

    async fn exchange_token(
        &self,
        request: Request<v1::ExchangeTokenRequest>,
    ) -> Result<Response<v1::ExchangeTokenResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.0.exchange(&call, request).await)
    }
}

//! `tokend.v1.TokenService`.

mod issue;
mod revoke;
mod stream;
mod verify;

use tonic::{Request, Response, Status, Streaming};

use super::{Api, implement_service};
use crate::{
    access::Caller,
    grpc::{call::CallContext, framing, response_stream::ResponseStream},
    proto::v1::{self, token_service_server::TokenService},
    tokens::VerifyError,
};

pub(in crate::grpc) use issue::issue_token;
use issue::{exchange_token, login, refresh_token};
pub(super) use revoke::end_session;
use revoke::revoke_token;
use verify::introspect_token;
pub(in crate::grpc) use verify::{batch_verify_tokens, verify_token};

implement_service!(TokenService {
    login(LoginRequest) -> LoginResponse;
    refresh_token(RefreshTokenRequest) -> RefreshTokenResponse;
    revoke_token(RevokeTokenRequest) -> RevokeTokenResponse;
    introspect_token(IntrospectTokenRequest) -> IntrospectTokenResponse;
    exchange_token(ExchangeTokenRequest) -> ExchangeTokenResponse;
    {
        // The edge calls these three directly, with the headers and the message.
        async fn issue_token(
            &self,
            request: Request<v1::IssueTokenRequest>,
        ) -> Result<Response<v1::IssueTokenResponse>, Status> {
            let call = CallContext::of(request.extensions())?;
            let (metadata, _, message) = request.into_parts();
            call.respond(issue_token(self, &call, metadata.as_ref(), message).await)
        }

        async fn verify_token(
            &self,
            request: Request<v1::VerifyTokenRequest>,
        ) -> Result<Response<v1::VerifyTokenResponse>, Status> {
            let call = CallContext::of(request.extensions())?;
            let (metadata, _, message) = request.into_parts();
            let response = verify_token(self, &call, metadata.as_ref(), message).await;
            call.respond(response.and_then(framing::decode_response))
        }

        async fn batch_verify_tokens(
            &self,
            request: Request<v1::BatchVerifyTokensRequest>,
        ) -> Result<Response<v1::BatchVerifyTokensResponse>, Status> {
            let call = CallContext::of(request.extensions())?;
            let (metadata, _, message) = request.into_parts();
            let response = batch_verify_tokens(self, &call, metadata.as_ref(), message).await;
            call.respond(response.and_then(framing::decode_response))
        }

        type StreamVerifyTokensStream = ResponseStream<v1::StreamVerifyTokensResponse>;

        async fn stream_verify_tokens(
            &self,
            request: Request<Streaming<v1::StreamVerifyTokensRequest>>,
        ) -> Result<Response<Self::StreamVerifyTokensStream>, Status> {
            let call = CallContext::of(request.extensions())?;
            call.respond(stream::stream_verify_tokens(self, &call, request).await)
        }
    }
});

impl Api {
    /// Runs `check`, which works in memory. If a key is missing there, looks the key up and runs `check` again.
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

    /// Waits for a look-up of keys. The call gives up its permit first: a call that waits for the store must not keep out calls that
    /// work in memory.
    async fn look_up_keys(&self, caller: &mut Caller) -> Result<(), VerifyError> {
        caller.permit().leave_class();
        self.verifier.look_up_keys().await
    }
}

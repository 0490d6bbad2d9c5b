//! RevokeToken and EndSession.

use std::sync::Arc;

use tonic::Request;

use crate::{
    access::{self, Caller},
    grpc::{
        call::CallContext,
        convert::{self, Checked},
        idempotency::{IdentifiedRequest, RequestResponses},
        services::Api,
        status::CallError,
    },
    model::{Method, RevokeTarget, Violations},
    proto::v1,
};

/// Handles RevokeToken.
pub(super) async fn revoke_token(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::RevokeTokenRequest>,
) -> Result<v1::RevokeTokenResponse, CallError> {
    let caller = call.caller(&api.authenticator, request.metadata().as_ref()).await?;
    let message = request.into_inner();
    let client_id = &caller.client().client_id;
    let identified = api.responses.identify(client_id, Method::RevokeToken, &message.request_id, &message);
    let reason = message.reason.clone();
    let checked = convert::revoke_request(message);
    revoke(api, call, Method::RevokeToken, caller, identified, checked, &reason).await
}

/// Handles EndSession: RevokeToken of a session.
pub(in crate::grpc::services) async fn end_session(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::EndSessionRequest>,
) -> Result<v1::EndSessionResponse, CallError> {
    let caller = call.caller(&api.authenticator, request.metadata().as_ref()).await?;
    let message = request.into_inner();
    let client_id = &caller.client().client_id;
    let identified = api.responses.identify(client_id, Method::EndSession, &message.request_id, &message);
    let reason = message.reason.clone();
    let checked = convert::end_session_request(message);
    let revoked = revoke(api, call, Method::EndSession, caller, identified, checked, &reason).await?;
    Ok(v1::EndSessionResponse { end_time: revoked.revoke_time })
}

async fn revoke(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    method: Method,
    caller: Caller,
    identified: Option<IdentifiedRequest>,
    checked: Checked<Option<RevokeTarget>>,
    reason: &str,
) -> Result<v1::RevokeTokenResponse, CallError> {
    let grant = checked.authorize(|target| access::revoke(caller.client(), method, target))?;
    let grant = grant.ok_or_else(|| CallError::Invalid(Violations::of("target", "must be given")))?;
    call.note_revoke_request(&grant);
    call.note_cause(reason);
    let (shared_api, shared_call) = (Arc::clone(api), Arc::clone(call));
    let revoke = async move {
        let _permit = caller;
        let revoked = shared_api.revoker.revoke(&grant).await?;
        if let Some(made) = &revoked.made {
            shared_api.metrics.revoked(&made.target);
            shared_call.note_revocation(made);
        }
        Ok(convert::revoke_response(revoked.revoke_time))
    };
    match identified {
        Some(identified) => api.responses.run_once(call, Some(identified), revoke).await,
        // A revocation that is in the store must be in force here too, even if its caller disconnects.
        None => RequestResponses::run_to_end(call, revoke).await,
    }
}

//! RevokeToken.

use std::sync::Arc;

use tonic::Request;

use super::TokenApi;
use crate::{
    access::{self, Caller, RevokeGrant},
    grpc::{
        Repeats,
        call::CallContext,
        convert::{self, Checked},
        repeat::Ticket,
        status::CallError,
    },
    model::{Method, RevokeTarget, Violations},
    proto::v1,
};

impl TokenApi {
    pub(super) async fn revoke(
        self: &Arc<Self>,
        call: &Arc<CallContext>,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<v1::RevokeTokenResponse, CallError> {
        let caller = call.caller(&self.authenticator, request.metadata().as_ref()).await?;
        let message = request.into_inner();
        let ticket = self.ticket(caller.client(), Method::RevokeToken, &message.request_id, &message);
        let reason = message.reason.clone();
        let asked = convert::revoke_request(message);
        self.revoke_by(call, Method::RevokeToken, caller, ticket, asked, &reason).await
    }

    /// EndSession: RevokeToken of a session.
    pub(in crate::grpc) async fn end_session(
        self: &Arc<Self>,
        call: &Arc<CallContext>,
        request: Request<v1::EndSessionRequest>,
    ) -> Result<v1::EndSessionResponse, CallError> {
        let caller = call.caller(&self.authenticator, request.metadata().as_ref()).await?;
        let message = request.into_inner();
        let ticket = self.ticket(caller.client(), Method::EndSession, &message.request_id, &message);
        let reason = message.reason.clone();
        let asked = convert::end_session_request(message);
        let revoked = self.revoke_by(call, Method::EndSession, caller, ticket, asked, &reason).await?;
        Ok(v1::EndSessionResponse { end_time: revoked.revoke_time })
    }

    async fn revoke_by(
        self: &Arc<Self>,
        call: &Arc<CallContext>,
        method: Method,
        caller: Caller,
        ticket: Option<Ticket>,
        asked: Checked<Option<RevokeTarget>>,
        reason: &str,
    ) -> Result<v1::RevokeTokenResponse, CallError> {
        let grant = asked.authorize(|target| access::revoke(caller.client(), method, target))?;
        let grant = grant.ok_or_else(|| CallError::Invalid(Violations::of("target", "must be given")))?;
        call.asked_to_revoke(&grant);
        call.cause(reason);
        let (api, own) = (Arc::clone(self), Arc::clone(call));
        let action = async move {
            let _admitted = caller;
            api.revoke_granted(&own, &grant).await
        };
        match ticket {
            Some(ticket) => self.repeats.once(call, ticket, action).await,
            // A revocation that the store has made must be in force here too, however long its caller waits.
            None => Repeats::finish(call, action).await,
        }
    }

    async fn revoke_granted(
        &self,
        call: &CallContext,
        grant: &RevokeGrant,
    ) -> Result<v1::RevokeTokenResponse, CallError> {
        let revoked = self.revoker.revoke(grant).await?;
        if let Some(made) = &revoked.made {
            self.revoke_metrics.made(&made.target);
            call.revoked(made);
        }
        Ok(convert::revoked_answer(revoked.revoke_time))
    }
}

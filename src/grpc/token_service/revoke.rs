//! RevokeToken.

use std::sync::Arc;

use tonic::Request;

use super::TokenApi;
use crate::{
    access::{self, Caller, RevokeGrant},
    grpc::{
        Repeats,
        caller::caller,
        convert::{self, Checked},
        repeat::Ticket,
        status::CallError,
        trail,
    },
    model::{Method, RevokeTarget, Violations},
    proto::v1,
};

impl TokenApi {
    pub(super) async fn revoke(
        self: &Arc<Self>,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<v1::RevokeTokenResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        let message = request.into_inner();
        let ticket = self.ticket(&caller, Method::RevokeToken, &message.request_id, &message);
        let reason = message.reason.clone();
        self.revoke_by(Method::RevokeToken, &caller, ticket, convert::revoke_request(message), &reason).await
    }

    /// EndSession: RevokeToken of a session.
    pub(in crate::grpc) async fn end_session(
        self: &Arc<Self>,
        request: Request<v1::EndSessionRequest>,
    ) -> Result<v1::EndSessionResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        let message = request.into_inner();
        let ticket = self.ticket(&caller, Method::EndSession, &message.request_id, &message);
        let reason = message.reason.clone();
        let asked = convert::end_session_request(message);
        let revoked = self.revoke_by(Method::EndSession, &caller, ticket, asked, &reason).await?;
        Ok(v1::EndSessionResponse { end_time: revoked.revoke_time })
    }

    async fn revoke_by(
        self: &Arc<Self>,
        method: Method,
        caller: &Caller,
        ticket: Option<Ticket>,
        asked: Checked<Option<RevokeTarget>>,
        reason: &str,
    ) -> Result<v1::RevokeTokenResponse, CallError> {
        let grant = asked.authorize(|target| access::revoke(caller, method, target))?;
        let grant = grant.ok_or_else(|| CallError::Invalid(Violations::of("target", "must be given")))?;
        trail::asked_to_revoke(&grant);
        trail::cause(reason);
        let api = Arc::clone(self);
        let action = async move { api.revoke_granted(&grant).await };
        match ticket {
            Some(_) => self.repeats.once(ticket, action).await,
            // A revocation that the store has made must be in force here too, however long its caller waits.
            None => Repeats::finish(action).await,
        }
    }

    async fn revoke_granted(&self, grant: &RevokeGrant) -> Result<v1::RevokeTokenResponse, CallError> {
        let revoked = self.revoker.revoke(grant).await?;
        if let Some(made) = &revoked.made {
            self.revoke_metrics.made(&made.target);
            trail::revoked(made);
        }
        Ok(convert::revoked_answer(revoked.revoke_time))
    }
}

//! RevokeToken.

use std::sync::Arc;

use tonic::Request;

use super::TokenApi;
use crate::{
    access::{self, RevokeGrant},
    grpc::{Repeats, caller::caller, convert, status::CallError, trail},
    model::{Method, Violations},
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
        let asked = convert::revoke_request(message);
        let grant = asked.authorize(|target| access::revoke(&caller, target))?;
        let grant = grant.ok_or_else(|| CallError::Invalid(Violations::of("target", "must be given")))?;
        trail::asked_to_revoke(&grant);
        trail::cause(&reason);
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

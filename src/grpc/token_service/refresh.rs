//! RefreshToken.

use tonic::Request;

use super::TokenApi;
use crate::{
    access,
    grpc::{call::CallContext, convert, status::CallError},
    proto::v1,
};

impl TokenApi {
    pub(super) async fn refresh(
        &self,
        call: &CallContext,
        request: Request<v1::RefreshTokenRequest>,
    ) -> Result<v1::RefreshTokenResponse, CallError> {
        let caller = call.caller(&self.authenticator, request.metadata().as_ref()).await?;
        let asked = convert::refresh_request(request.into_inner());
        let grant = asked.authorize(|request| access::refresh(caller.client(), request, &self.rules))?;
        let outcome = self.sessions.refresh(&grant).await;
        self.session_metrics.refreshed(&outcome);
        if let Err(error) = &outcome {
            error.session_id().into_iter().for_each(|session_id| call.session(session_id));
            error.subject().into_iter().for_each(|subject| call.subject(subject));
        }
        let refreshed = outcome?;
        self.metrics.issued(&refreshed.token);
        let scopes = refreshed.grant.scopes().to_vec();
        call.token(&refreshed.grant, &self.rules, &refreshed.token);
        Ok(convert::refresh_answer(convert::session_answer(refreshed.token, scopes, &refreshed.refresh)))
    }
}

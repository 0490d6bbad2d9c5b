//! IssueToken.

use std::sync::Arc;

use http::HeaderMap;

use super::TokenApi;
use crate::{
    access::{self, IssueGrant},
    admission::CallClass,
    grpc::{call::CallContext, convert, status::CallError},
    model::Method,
    proto::v1,
    tokens::BegunSession,
};

impl TokenApi {
    pub(in crate::grpc) async fn issue(
        self: &Arc<Self>,
        call: &Arc<CallContext>,
        headers: &HeaderMap,
        message: v1::IssueTokenRequest,
    ) -> Result<v1::IssueTokenResponse, CallError> {
        let mut caller = call.caller(&self.authenticator, headers).await?;
        let ticket = self.ticket(caller.client(), Method::IssueToken, &message.request_id, &message);
        let asked = convert::issue_request(message);
        asked.if_sound(|request| call.asked(request));
        let grant = asked.authorize(|request| access::issue(caller.client(), request, &self.rules))?;
        if grant.with_session() {
            caller.permit().change_class(CallClass::Session).await?;
        }
        let Some(ticket) = ticket else { return self.issue_granted(call, grant).await };
        let (api, own) = (Arc::clone(self), Arc::clone(call));
        let action = async move {
            let _admitted = caller;
            api.issue_granted(&own, grant).await
        };
        self.repeats.once(call, ticket, action).await
    }

    async fn issue_granted(
        &self,
        call: &CallContext,
        grant: IssueGrant,
    ) -> Result<v1::IssueTokenResponse, CallError> {
        if grant.with_session() {
            let BegunSession { grant, token, refresh } = self.sessions.begin(grant).await?;
            self.session_metrics.begun();
            self.metrics.issued(&token);
            let scopes = grant.scopes().to_vec();
            call.token(&grant, &self.rules, &token);
            return Ok(convert::session_answer(token, scopes, &refresh));
        }
        let issued = self.issuer.issue(&grant)?;
        self.metrics.issued(&issued);
        let scopes = grant.scopes().to_vec();
        call.token(&grant, &self.rules, &issued);
        Ok(convert::token_answer(issued, scopes))
    }
}

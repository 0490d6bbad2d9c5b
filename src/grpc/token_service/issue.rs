//! IssueToken.

use std::sync::Arc;

use tonic::Request;

use super::TokenApi;
use crate::{
    access::{self, IssueGrant},
    grpc::{admission::LaneName, caller::caller, convert, status::CallError, trail},
    model::Method,
    proto::v1,
    tokens::BegunSession,
};

impl TokenApi {
    pub(super) async fn issue(
        self: &Arc<Self>,
        request: Request<v1::IssueTokenRequest>,
    ) -> Result<v1::IssueTokenResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        let message = request.into_inner();
        let ticket = self.ticket(&caller, Method::IssueToken, &message.request_id, &message);
        let asked = convert::issue_request(message);
        asked.if_sound(trail::asked);
        let grant = asked.authorize(|request| access::issue(&caller, request, &self.rules))?;
        if grant.with_session() {
            trail::change_lane(LaneName::Session).await?;
        }
        let api = Arc::clone(self);
        self.repeats.once(ticket, async move { api.issue_granted(grant).await }).await
    }

    async fn issue_granted(&self, grant: IssueGrant) -> Result<v1::IssueTokenResponse, CallError> {
        if grant.with_session() {
            let BegunSession { grant, token, refresh } = self.sessions.begin(grant).await?;
            self.session_metrics.begun();
            self.metrics.issued(&token);
            trail::token(&grant, &self.rules, &token);
            return Ok(convert::session_answer(token, grant.scopes().to_vec(), &refresh));
        }
        let issued = self.issuer.issue(&grant)?;
        self.metrics.issued(&issued);
        trail::token(&grant, &self.rules, &issued);
        Ok(convert::token_answer(issued, grant.scopes().to_vec()))
    }
}

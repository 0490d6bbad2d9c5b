//! IssueToken.

use tonic::Request;

use super::TokenApi;
use crate::{
    access,
    grpc::{caller::caller, convert, status::CallError, trail},
    proto::v1,
    tokens::BegunSession,
};

impl TokenApi {
    pub(super) async fn issue(
        &self,
        request: Request<v1::IssueTokenRequest>,
    ) -> Result<v1::IssueTokenResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        let asked = convert::issue_request(request.into_inner());
        asked.if_sound(trail::asked);
        let grant = asked.authorize(|request| access::issue(&caller, request, &self.rules))?;
        if grant.with_session() {
            let BegunSession { grant, token, refresh } = self.sessions.begin(grant, None).await?;
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

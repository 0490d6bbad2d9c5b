//! Login.

use tonic::Request;

use super::TokenApi;
use crate::{
    access,
    grpc::{call::CallContext, convert, status::CallError},
    proto::v1,
    tokens::{LoggedIn, LoginError},
};

impl TokenApi {
    pub(super) async fn log_in(
        &self,
        call: &CallContext,
        request: Request<v1::LoginRequest>,
    ) -> Result<v1::LoginResponse, CallError> {
        let caller = call.caller(&self.authenticator, request.metadata().as_ref()).await?;
        let asked = convert::login_request(request.into_inner());
        let grant = asked.authorize(|request| access::login(caller.client(), request, &self.rules))?;
        let outcome = self.logins.login(grant, call.address()).await;
        self.login_metrics.count(&outcome);
        if let Err(LoginError::Failed(failed)) = &outcome {
            failed.user_id.iter().for_each(|user_id| call.user(user_id));
        }
        let LoggedIn { token, grant, refresh } = outcome?;
        self.metrics.issued(&token);
        let scopes = grant.scopes().to_vec();
        call.token(&grant, &self.rules, &token);
        Ok(convert::login_answer(match refresh {
            Some(refresh) => {
                self.session_metrics.begun();
                convert::session_answer(token, scopes, &refresh)
            }
            None => convert::token_answer(token, scopes),
        }))
    }
}

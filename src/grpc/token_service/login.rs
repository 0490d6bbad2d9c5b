//! Login.

use tonic::Request;

use super::TokenApi;
use crate::{
    access,
    grpc::{caller::caller, convert, status::CallError, trail},
    model::Peer,
    proto::v1,
    tokens::{LoggedIn, LoginError},
};

impl TokenApi {
    pub(super) async fn log_in(
        &self,
        request: Request<v1::LoginRequest>,
    ) -> Result<v1::LoginResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        let source = request.extensions().get::<Peer>().map(|peer| peer.address);
        let asked = convert::login_request(request.into_inner());
        let grant = asked.authorize(|request| access::login(&caller, request, &self.rules))?;
        let outcome = self.logins.login(grant, source).await;
        self.login_metrics.count(&outcome);
        if let Err(LoginError::Failed(failed)) = &outcome {
            failed.user_id.iter().for_each(trail::user);
        }
        let LoggedIn { token, grant, refresh } = outcome?;
        self.metrics.issued(&token);
        trail::token(&grant, &self.rules, &token);
        let scopes = grant.scopes().to_vec();
        Ok(convert::login_answer(match refresh {
            Some(refresh) => {
                self.session_metrics.begun();
                convert::session_answer(token, scopes, &refresh)
            }
            None => convert::token_answer(token, scopes),
        }))
    }
}

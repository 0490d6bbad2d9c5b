//! `tokend.v1.TokenService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{LoginMetrics, TokenMetrics, caller::caller, convert, status::CallError, trail};
use crate::{
    access::{self, Authenticator, IssueRules, PolicyError, VerifyGrant},
    model::{Peer, VerifyRequest, Violations},
    proto::v1::{self, batch_verify_tokens_result::Result as Item, token_service_server::TokenService},
    spans,
    tokens::{Issuer, LoggedIn, LoginError, Logins, Verifier, VerifyError},
};

/// How many tokens one call may verify.
const MOST_TOKENS: usize = 100;

#[derive(Debug)]
pub(super) struct TokenApi {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) rules: IssueRules,
    pub(super) issuer: Arc<Issuer>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) logins: Logins,
    pub(super) metrics: Arc<TokenMetrics>,
    pub(super) login_metrics: Arc<LoginMetrics>,
}

#[tonic::async_trait]
impl TokenService for TokenApi {
    async fn issue_token(
        &self,
        request: Request<v1::IssueTokenRequest>,
    ) -> Result<Response<v1::IssueTokenResponse>, Status> {
        self.issue(request).await.map(Response::new).map_err(CallError::into_status)
    }

    async fn verify_token(
        &self,
        request: Request<v1::VerifyTokenRequest>,
    ) -> Result<Response<v1::VerifyTokenResponse>, Status> {
        self.verify(request).await.map(Response::new).map_err(CallError::into_status)
    }

    async fn batch_verify_tokens(
        &self,
        request: Request<v1::BatchVerifyTokensRequest>,
    ) -> Result<Response<v1::BatchVerifyTokensResponse>, Status> {
        self.batch_verify(request).await.map(Response::new).map_err(CallError::into_status)
    }

    async fn login(&self, request: Request<v1::LoginRequest>) -> Result<Response<v1::LoginResponse>, Status> {
        self.log_in(request).await.map(Response::new).map_err(CallError::into_status)
    }
}

impl TokenApi {
    async fn issue(
        &self,
        request: Request<v1::IssueTokenRequest>,
    ) -> Result<v1::IssueTokenResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        let asked = convert::issue_request(request.into_inner());
        asked.if_sound(trail::asked);
        let grant = asked.authorize(|request| access::issue(&caller, request, &self.rules))?;
        let issued = self.issuer.issue(&grant)?;
        self.metrics.issued(&issued);
        trail::token(&grant, &self.rules, &issued);
        Ok(convert::token_answer(issued, grant.scopes().to_vec()))
    }

    async fn log_in(&self, request: Request<v1::LoginRequest>) -> Result<v1::LoginResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        let source = request.extensions().get::<Peer>().map(|peer| peer.address);
        let asked = convert::login_request(request.into_inner());
        let grant = asked.authorize(|request| access::login(&caller, request, &self.rules))?;
        let outcome = self.logins.login(grant, source).await;
        self.login_metrics.count(&outcome);
        if let Err(LoginError::Failed(failed)) = &outcome {
            failed.user_id.iter().for_each(trail::user);
        }
        let LoggedIn { token, grant } = outcome?;
        self.metrics.issued(&token);
        trail::token(&grant, &self.rules, &token);
        Ok(convert::login_answer(token, grant.scopes().to_vec()))
    }

    async fn verify(
        &self,
        request: Request<v1::VerifyTokenRequest>,
    ) -> Result<v1::VerifyTokenResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        self.verify_one(request.into_inner(), |request| access::verify(&caller, request)).await
    }

    async fn batch_verify(
        &self,
        request: Request<v1::BatchVerifyTokensRequest>,
    ) -> Result<v1::BatchVerifyTokensResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        let policy = access::batch_verify(&caller)?;
        let requests = request.into_inner().requests;
        if requests.len() > MOST_TOKENS {
            let description = format!("must hold at most {MOST_TOKENS} requests");
            return Err(CallError::Invalid(Violations::of("requests", description)));
        }
        let mut results = Vec::with_capacity(requests.len());
        for request in requests {
            let result = match self.verify_one(request, &policy).await {
                Ok(verified) => Item::Verified(verified),
                Err(error) => Item::Error(error.into_item()),
            };
            results.push(v1::BatchVerifyTokensResult { result: Some(result) });
            // A batch of slow algorithms must not keep its thread from other calls.
            tokio::task::yield_now().await;
        }
        Ok(v1::BatchVerifyTokensResponse { results })
    }

    async fn verify_one(
        &self,
        message: v1::VerifyTokenRequest,
        policy: impl FnOnce(VerifyRequest) -> Result<VerifyGrant, PolicyError>,
    ) -> Result<v1::VerifyTokenResponse, CallError> {
        let asked = convert::verify_request(message, self.verifier.policy().max_leeway);
        let grant = asked.authorize(policy)?;
        let step = spans::step("verify");
        let outcome = self.verifier.verify(&grant).await;
        drop(step);
        match &outcome {
            Ok(_) => self.metrics.verified(None),
            Err(VerifyError::Refused(refusal)) => self.metrics.verified(Some(refusal.reason)),
            Err(VerifyError::KeyUnavailable(_)) => {}
        }
        Ok(convert::verified_answer(outcome?))
    }
}

//! VerifyToken and BatchVerifyTokens.

use tonic::Request;

use super::TokenApi;
use crate::{
    access::{self, PolicyError, VerifyGrant},
    grpc::{caller::caller, convert, status::CallError},
    model::{VerifyRequest, Violations},
    proto::v1::{self, batch_verify_tokens_result::Result as Item},
    spans,
    tokens::VerifyError,
};

/// How many tokens one call may verify.
const MOST_TOKENS: usize = 100;

impl TokenApi {
    pub(super) async fn verify(
        &self,
        request: Request<v1::VerifyTokenRequest>,
    ) -> Result<v1::VerifyTokenResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        self.verify_one(request.into_inner(), |request| access::verify(&caller, request)).await
    }

    pub(super) async fn batch_verify(
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
            Err(VerifyError::KeyUnavailable(_) | VerifyError::Stale(_)) => {}
        }
        Ok(convert::verified_answer(outcome?))
    }
}

//! VerifyToken and BatchVerifyTokens.

use tonic::Request;

use super::TokenApi;
use crate::{
    access::{self, PolicyError, VerifyGrant},
    grpc::{caller::caller, convert, status::CallError},
    model::{VerifyRequest, Violations},
    proto::v1::{self, batch_verify_tokens_result::Result as Item},
    spans,
    tokens::{VerifiedToken, VerifyError},
};

/// How many tokens one call may verify.
const MOST_TOKENS: usize = 100;

/// What became of one token of a batch: it is verified if the request for it is allowed.
type BatchItem = Result<(VerifyGrant, Result<VerifiedToken, VerifyError>), CallError>;

impl TokenApi {
    pub(super) async fn verify(
        &self,
        request: Request<v1::VerifyTokenRequest>,
    ) -> Result<v1::VerifyTokenResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        let asked = convert::verify_request(request.into_inner(), self.verifier.policy().max_leeway);
        let grant = asked.authorize(|request| access::verify(&caller, request))?;
        if !self.verifier.is_cached(grant.token()) {
            // A signature check takes long enough to leave the task of the connection for it.
            tokio::task::yield_now().await;
        }
        let step = spans::step("verify");
        let outcome = self.with_keys(|| self.verifier.verify(&grant)).await;
        drop(step);
        self.verified(outcome)
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
        // The good ones first, from memory. All keys that are not there are then looked up at once: what cannot be answered at
        // once is bounded for the whole batch, and spoils no other answer.
        let mut items = Vec::with_capacity(requests.len());
        for request in requests {
            if !self.verifier.is_cached(&request.token) {
                // A batch of slow algorithms must not keep its thread from other calls.
                tokio::task::yield_now().await;
            }
            items.push(self.verify_from_memory(request, &policy));
        }
        let mut looked_up = None;
        for item in &mut items {
            let Ok((grant, outcome @ Err(VerifyError::KeyNotInMemory))) = item else { continue };
            if looked_up.is_none() {
                looked_up = Some(self.look_up_keys().await);
            }
            *outcome = match &looked_up {
                Some(Err(error)) => Err(error.clone()),
                _ => self.verifier.verify(grant).map_err(VerifyError::after_lookup),
            };
            tokio::task::yield_now().await;
        }
        let results = items.into_iter().map(|item| {
            let result = match item.and_then(|(_, outcome)| self.verified(outcome)) {
                Ok(verified) => Item::Verified(verified),
                Err(error) => Item::Error(error.into_item()),
            };
            v1::BatchVerifyTokensResult { result: Some(result) }
        });
        Ok(v1::BatchVerifyTokensResponse { results: results.collect() })
    }

    fn verify_from_memory(
        &self,
        message: v1::VerifyTokenRequest,
        policy: impl FnOnce(VerifyRequest) -> Result<VerifyGrant, PolicyError>,
    ) -> BatchItem {
        let asked = convert::verify_request(message, self.verifier.policy().max_leeway);
        let grant = asked.authorize(policy)?;
        let _step = spans::step("verify");
        let outcome = self.verifier.verify(&grant);
        Ok((grant, outcome))
    }

    fn verified(
        &self,
        outcome: Result<VerifiedToken, VerifyError>,
    ) -> Result<v1::VerifyTokenResponse, CallError> {
        match &outcome {
            Ok(_) => self.metrics.verified(None),
            Err(VerifyError::Refused(refusal)) => self.metrics.verified(Some(refusal.reason)),
            Err(_) => {}
        }
        Ok(convert::verified_answer(outcome?))
    }
}

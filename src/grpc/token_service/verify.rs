//! VerifyToken and BatchVerifyTokens.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use prost::Message as _;
use tokio::task::JoinSet;

use super::TokenApi;
use crate::{
    access::{self, Caller, VerifyGrant},
    grpc::{
        call::CallContext,
        convert::{self, VerifiedFields, field_len, put_bytes, put_length},
        framing,
        status::CallError,
    },
    model::Violations,
    proto::v1,
    spans,
    tokens::{VerifiedToken, VerifyError},
};

/// How many tokens one call may verify.
const MOST_TOKENS: usize = 100;

/// One token of a batch whose verification is allowed.
struct BatchItem {
    index: usize,
    grant: VerifyGrant,
    fields: VerifiedFields,
    outcome: Result<VerifiedToken, VerifyError>,
}

impl TokenApi {
    /// Handles VerifyToken; returns the response message with its prefix.
    pub(in crate::grpc) async fn verify(
        &self,
        call: &CallContext,
        headers: &HeaderMap,
        message: v1::VerifyTokenRequest,
    ) -> Result<Bytes, CallError> {
        let mut caller = call.caller(&self.authenticator, headers).await?;
        let (asked, fields) = convert::verify_request(message, self.verifier.policy().max_leeway);
        let grant = asked.authorize(|request| access::verify(caller.client(), request))?;
        let verified = self.verified(&mut caller, &grant).await?;
        Ok(convert::verified_response(&verified, fields))
    }

    /// Verifies a token, and counts what became of it.
    pub(super) async fn verified(
        &self,
        caller: &mut Caller,
        grant: &VerifyGrant,
    ) -> Result<VerifiedToken, CallError> {
        let _step = spans::step("verify");
        self.counted(match self.verifier.cached(grant.token()) {
            Some(token) => self.verifier.verify_known(grant, token, self.verifier.now()),
            None => Box::pin(self.with_keys(caller, || self.verifier.verify(grant))).await,
        })
    }

    /// Handles BatchVerifyTokens: verifies cached tokens in this task, and the others in one task for each thread of the runtime.
    pub(in crate::grpc) async fn batch_verify(
        self: &Arc<Self>,
        call: &CallContext,
        headers: &HeaderMap,
        message: v1::BatchVerifyTokensRequest,
    ) -> Result<Bytes, CallError> {
        let mut caller = call.caller(&self.authenticator, headers).await?;
        let client = Arc::clone(caller.client());
        let policy = access::batch_verify(&client)?;
        let requests = message.requests;
        if requests.len() > MOST_TOKENS {
            let description = format!("must hold at most {MOST_TOKENS} requests");
            return Err(CallError::Invalid(Violations::of("requests", description)));
        }
        let mut results: Vec<Option<Result<(VerifiedToken, VerifiedFields), CallError>>> =
            Vec::with_capacity(requests.len());
        let now = self.verifier.now();
        let mut misses = Vec::new();
        for (index, request) in requests.into_iter().enumerate() {
            let (asked, fields) = convert::verify_request(request, self.verifier.policy().max_leeway);
            results.push(match asked.authorize(&policy) {
                Err(error) => Some(Err(error)),
                Ok(grant) => match self.verifier.cached(grant.token()) {
                    Some(token) => {
                        let outcome = self.verifier.verify_known(&grant, token, now);
                        Some(self.counted(outcome).map(|verified| (verified, fields)))
                    }
                    None => {
                        misses.push(BatchItem {
                            index,
                            grant,
                            fields,
                            outcome: Err(VerifyError::KeyNotInMemory),
                        });
                        None
                    }
                },
            });
        }
        if !misses.is_empty() {
            let mut items = self.verify_in_parallel(misses).await;
            // One look-up serves the whole batch, so that its timeout applies once; if it fails, only the tokens that need it fail.
            if items.iter().any(|item| matches!(item.outcome, Err(VerifyError::KeyNotInMemory))) {
                let looked_up = self.look_up_keys(&mut caller).await;
                for item in &mut items {
                    if matches!(item.outcome, Err(VerifyError::KeyNotInMemory)) {
                        item.outcome = match &looked_up {
                            Err(error) => Err(error.clone()),
                            Ok(()) => self.verifier.verify(&item.grant).map_err(VerifyError::after_lookup),
                        };
                        tokio::task::yield_now().await;
                    }
                }
            }
            for BatchItem { index, fields, outcome, .. } in items {
                if let Some(result) = results.get_mut(index) {
                    *result = Some(self.counted(outcome).map(|verified| (verified, fields)));
                }
            }
        }
        Ok(batch_response(call, results.into_iter().map(|result| result.unwrap_or(Err(CallError::Lost)))))
    }

    /// Verifies tokens that are not cached, in as many tasks as there are threads.
    async fn verify_in_parallel(self: &Arc<Self>, misses: Vec<BatchItem>) -> Vec<BatchItem> {
        let threads = tokio::runtime::Handle::current().metrics().num_workers();
        let share = misses.len().div_ceil(threads);
        let mut tasks = JoinSet::new();
        let mut left = misses.into_iter().peekable();
        while left.peek().is_some() {
            let mut items: Vec<BatchItem> = left.by_ref().take(share).collect();
            let api = Arc::clone(self);
            tasks.spawn(async move {
                for item in &mut items {
                    item.outcome = api.verifier.verify(&item.grant);
                    // A batch of slow algorithms must not keep its thread from other calls.
                    tokio::task::yield_now().await;
                }
                items
            });
        }
        let mut verified = Vec::new();
        while let Some(items) = tasks.join_next().await {
            verified.extend(items.into_iter().flatten());
        }
        verified
    }

    /// Counts what became of a token.
    fn counted(&self, outcome: Result<VerifiedToken, VerifyError>) -> Result<VerifiedToken, CallError> {
        match &outcome {
            Ok(_) => self.metrics.verified(None),
            Err(VerifyError::Refused(refusal)) => self.metrics.verified(Some(refusal.reason)),
            Err(_) => {}
        }
        Ok(outcome?)
    }
}

/// The BatchVerifyTokensResponse: a result for each token, in the order of the request.
fn batch_response(
    call: &CallContext,
    results: impl Iterator<Item = Result<(VerifiedToken, VerifiedFields), CallError>>,
) -> Bytes {
    let results: Vec<BatchResult> = results.map(|result| BatchResult::of(call, result)).collect();
    let mut buffer = framing::begin(results.iter().map(|result| field_len(field_len(result.len()))).sum());
    for result in &results {
        put_length(1, field_len(result.len()), &mut buffer);
        // The fields of BatchVerifyTokensResult.
        match result {
            BatchResult::Verified(verified, fields, length) => {
                put_length(1, *length, &mut buffer);
                convert::encode_verified(verified, *fields, &mut buffer);
            }
            BatchResult::Failed(status) => put_bytes(2, status, &mut buffer),
        }
    }
    framing::finish(buffer)
}

/// A result of a batch, of which it is known how long it will be.
enum BatchResult {
    Verified(VerifiedToken, VerifiedFields, usize),
    Failed(Vec<u8>),
}

impl BatchResult {
    fn of(call: &CallContext, result: Result<(VerifiedToken, VerifiedFields), CallError>) -> Self {
        match result {
            Ok((verified, fields)) => {
                let length = convert::verified_len(&verified, fields);
                Self::Verified(verified, fields, length)
            }
            Err(error) => Self::Failed(error.into_item(call).encode_to_vec()),
        }
    }

    const fn len(&self) -> usize {
        match self {
            Self::Verified(_, _, length) => *length,
            Self::Failed(status) => status.len(),
        }
    }
}

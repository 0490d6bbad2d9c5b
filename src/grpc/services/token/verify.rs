//! VerifyToken, BatchVerifyTokens and IntrospectToken.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use prost::Message as _;
use tokio::task::JoinSet;
use tonic::Request;

use crate::{
    access::{self, Caller, VerifyGrant},
    admission::CallClass,
    grpc::{
        call::CallContext,
        convert::{self, VerifiedFields, field_len, put_bytes, put_length},
        framing,
        services::Api,
        status::CallError,
    },
    model::Violations,
    proto::v1,
    spans,
    tokens::{IntrospectError, Introspector, VerifiedToken, VerifyError},
};

/// The most tokens of one BatchVerifyTokens call.
const MAX_TOKENS: usize = 100;

/// A token of a batch that the policy allows the caller to verify.
struct BatchItem {
    index: usize,
    grant: VerifyGrant,
    fields: VerifiedFields,
    outcome: Result<VerifiedToken, VerifyError>,
}

/// Handles VerifyToken. Returns the framed response.
pub(in crate::grpc) async fn verify_token(
    api: &Api,
    call: &CallContext,
    headers: &HeaderMap,
    message: v1::VerifyTokenRequest,
) -> Result<Bytes, CallError> {
    let mut caller = call.caller(&api.authenticator, headers).await?;
    let (checked, fields) = convert::verify_request(message, api.verifier.policy().max_leeway);
    let grant = checked.authorize(|request| access::verify(caller.client(), request))?;
    let verified = verify(api, &mut caller, &grant).await?;
    Ok(convert::verified_response(&verified, fields))
}

/// Verifies a token and counts the result.
pub(super) async fn verify(
    api: &Api,
    caller: &mut Caller,
    grant: &VerifyGrant,
) -> Result<VerifiedToken, CallError> {
    let _step = spans::step("verify");
    counted(
        api,
        match api.verifier.cached(grant.token()) {
            Some(token) => api.verifier.verify_known(grant, token, api.verifier.now()),
            None => Box::pin(api.with_keys(caller, || api.verifier.verify(grant))).await,
        },
    )
}

/// Handles BatchVerifyTokens. Verifies cached tokens in this task, and the others in one task for each thread of the runtime. Returns
/// the framed response.
pub(in crate::grpc) async fn batch_verify_tokens(
    api: &Arc<Api>,
    call: &CallContext,
    headers: &HeaderMap,
    message: v1::BatchVerifyTokensRequest,
) -> Result<Bytes, CallError> {
    let mut caller = call.caller(&api.authenticator, headers).await?;
    let client = Arc::clone(caller.client());
    let policy = access::batch_verify(&client)?;
    let requests = message.requests;
    if requests.len() > MAX_TOKENS {
        let description = format!("must hold at most {MAX_TOKENS} requests");
        return Err(CallError::Invalid(Violations::of("requests", description)));
    }
    let mut results: Vec<Option<Result<(VerifiedToken, VerifiedFields), CallError>>> =
        Vec::with_capacity(requests.len());
    let now = api.verifier.now();
    let mut misses = Vec::new();
    for (index, request) in requests.into_iter().enumerate() {
        let (checked, fields) = convert::verify_request(request, api.verifier.policy().max_leeway);
        results.push(match checked.authorize(&policy) {
            Err(error) => Some(Err(error)),
            Ok(grant) => match api.verifier.cached(grant.token()) {
                Some(token) => {
                    let outcome = api.verifier.verify_known(&grant, token, now);
                    Some(counted(api, outcome).map(|verified| (verified, fields)))
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
        let mut items = verify_in_parallel(api, misses).await;
        // One look-up for the whole batch: its timeout applies once, and if it fails, only the tokens that need it fail.
        if items.iter().any(|item| matches!(item.outcome, Err(VerifyError::KeyNotInMemory))) {
            let looked_up = api.look_up_keys(&mut caller).await;
            for item in &mut items {
                if matches!(item.outcome, Err(VerifyError::KeyNotInMemory)) {
                    item.outcome = match &looked_up {
                        Err(error) => Err(error.clone()),
                        Ok(()) => api.verifier.verify(&item.grant).map_err(VerifyError::after_lookup),
                    };
                    tokio::task::yield_now().await;
                }
            }
        }
        for BatchItem { index, fields, outcome, .. } in items {
            if let Some(result) = results.get_mut(index) {
                *result = Some(counted(api, outcome).map(|verified| (verified, fields)));
            }
        }
    }
    Ok(batch_response(call, results.into_iter().map(|result| result.unwrap_or(Err(CallError::Lost)))))
}

/// Verifies tokens that are not cached, in as many tasks as there are threads.
async fn verify_in_parallel(api: &Arc<Api>, misses: Vec<BatchItem>) -> Vec<BatchItem> {
    let threads = tokio::runtime::Handle::current().metrics().num_workers();
    let share = misses.len().div_ceil(threads);
    let mut tasks = JoinSet::new();
    let mut left = misses.into_iter().peekable();
    while left.peek().is_some() {
        let mut items: Vec<BatchItem> = left.by_ref().take(share).collect();
        let api = Arc::clone(api);
        tasks.spawn(async move {
            for item in &mut items {
                item.outcome = api.verifier.verify(&item.grant);
                // A batch of slow algorithms must not block other calls on its thread.
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

/// Counts the result of verifying a token.
fn counted(api: &Api, outcome: Result<VerifiedToken, VerifyError>) -> Result<VerifiedToken, CallError> {
    match &outcome {
        Ok(_) => api.metrics.verified(None),
        Err(VerifyError::Refused(refusal)) => api.metrics.verified(Some(refusal.reason)),
        Err(_) => {}
    }
    Ok(outcome?)
}

/// Handles IntrospectToken.
pub(super) async fn introspect_token(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::IntrospectTokenRequest>,
) -> Result<v1::IntrospectTokenResponse, CallError> {
    let mut caller = call.caller(&api.authenticator, request.metadata().as_ref()).await?;
    let checked = convert::introspect_request(request.into_inner());
    let grant = checked.authorize(|request| access::introspect(caller.client(), request))?;
    let _step = spans::step("verify");
    let introspected = if Introspector::is_refresh_token(&grant) {
        caller.permit().change_class(CallClass::Introspect).await?;
        api.introspector.refresh_token(&grant).await.map_err(IntrospectError::Store)?
    } else {
        match api.with_keys(&mut caller, || api.introspector.access_token(&grant)).await {
            Ok(token) => token,
            Err(VerifyError::Refused(_)) => None,
            Err(error) => return Err(IntrospectError::Verify(error).into()),
        }
    };
    Ok(convert::introspect_response(introspected, &api.verifier.policy().issuer))
}

/// Encodes the BatchVerifyTokensResponse: a result for each token, in the order of the request.
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

/// A result of a batch with its encoded length.
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

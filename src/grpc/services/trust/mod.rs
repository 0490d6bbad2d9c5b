//! `tokend.v1.TrustBundleService`: the one service that needs no credential, unless the settings require one.

mod verifier_stream;
mod watch;

use std::{sync::Arc, time::Duration};

use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use self::{verifier_stream::VerifierStream, watch::Watcher};
use super::{Api, admin::administer, implement_service};
use crate::{
    grpc::{
        call::CallContext,
        convert,
        response_stream::{self, ResponseStream},
        status::CallError,
    },
    keys::VerifierCaps,
    model::{Method, Source},
    proto::v1::{self, trust_bundle_service_server::TrustBundleService},
};

/// The most responses that wait for one verifier, beside those in HTTP/2's window.
const QUEUE_CAPACITY: usize = 4;

/// The limits of watches.
#[derive(Debug, Clone, Copy)]
pub struct WatchLimits {
    /// The most verifiers at once.
    pub most: VerifierCaps,
    /// The interval of heartbeats while nothing changes.
    pub heartbeat: Duration,
    /// How long a verifier may leave a response unread.
    pub unread: Duration,
}

/// Who may read the trust bundle, and what it shows. By default everyone may read all of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrustPrivacy {
    /// Whether callers need a credential and permission for the method.
    pub requires_credential: bool,
    /// Whether the subjects of revocations are sent as hashes only.
    pub hashes_subjects: bool,
}

implement_service!(TrustBundleService {
    get_trust_bundle(GetTrustBundleRequest) -> GetTrustBundleResponse;
    {
        type WatchTrustBundleStream = ResponseStream<v1::WatchTrustBundleResponse>;

        async fn watch_trust_bundle(
            &self,
            request: Request<Streaming<v1::WatchTrustBundleRequest>>,
        ) -> Result<Response<Self::WatchTrustBundleStream>, Status> {
            let call = CallContext::of(request.extensions())?;
            call.respond(watch_trust_bundle(self, &call, request).await)
        }
    }
});

async fn get_trust_bundle(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::GetTrustBundleRequest>,
) -> Result<v1::GetTrustBundleResponse, CallError> {
    check_caller(api, call, &request, Method::GetTrustBundle).await?;
    let state = api.ring.trust().borrow().clone();
    Ok(v1::GetTrustBundleResponse {
        jwks_json: state.jwk_set.json.clone(),
        etag: state.jwk_set.etag.clone(),
        max_age: Some(convert::duration_message(api.ring.max_age(&state.jwk_set))),
        sequence: state.sequence.0,
    })
}

async fn watch_trust_bundle(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<Streaming<v1::WatchTrustBundleRequest>>,
) -> Result<ResponseStream<v1::WatchTrustBundleResponse>, CallError> {
    check_caller(api, call, &request, Method::WatchTrustBundle).await?;
    let mut requests = request.into_inner();
    let first = tokio::select! {
        first = requests.message() => first,
        () = api.drain.begun() => return Err(CallError::ShuttingDown),
    };
    let first = first.map_err(|status| CallError::Undecodable(status.message().to_owned()))?;
    let subscription = convert::subscription(first, api.privacy.hashes_subjects)?;
    let source = call.address().map(Source::of);
    let watch =
        api.verifiers.begin(subscription.verifier_id, subscription.after, source, api.watches.most)?;
    let (sender, responses) = response_stream::channel(QUEUE_CAPACITY, api.watches.unread);
    let watcher = Watcher {
        ring: Arc::clone(&api.ring),
        revocations: Arc::clone(&api.revocations),
        after: subscription.after,
        heartbeat: api.watches.heartbeat,
        subject_hash: subscription.subject_hash,
        stream: VerifierStream { watch, sender, drain: api.drain.clone(), requests: Some(requests) },
    };
    tokio::spawn(watcher.run().instrument(call.log_span().clone()));
    Ok(responses)
}

/// Authenticates and authorizes the caller, if the settings require a credential.
async fn check_caller<T>(
    api: &Api,
    call: &CallContext,
    request: &Request<T>,
    method: Method,
) -> Result<(), CallError> {
    if api.privacy.requires_credential {
        administer(call, &api.authenticator, request, method).await?;
    }
    Ok(())
}

//! The methods.

use std::{sync::Arc, time::Duration};

use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use super::{line::Line, watch::Watcher};
use crate::{
    access::Authenticator,
    grpc::{
        Drain,
        call::CallContext,
        caller::administer,
        convert,
        feed::{self, Feed},
        status::CallError,
    },
    keys::{KeyRing, VerifierCaps, Verifiers},
    model::{Method, Source},
    proto::v1::{self, trust_bundle_service_server::TrustBundleService},
    revocations::Revocations,
};

/// Responses on their way to one verifier, beside what HTTP/2 holds for it.
const LENGTH: usize = 4;

/// The bounds of a watch.
#[derive(Debug, Clone, Copy)]
pub struct WatchLimits {
    /// Verifiers at once.
    pub most: VerifierCaps,
    /// How often a verifier is sent something while nothing changes.
    pub heartbeat: Duration,
    /// How long a verifier may leave unread what it was sent.
    pub unread: Duration,
}

/// What keeps the trust bundle from strangers. By default nothing does.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrustPrivacy {
    /// Whether callers need a credential, and permission for the method.
    pub requires_credential: bool,
    /// Whether subjects of revocations are sent as hashes only.
    pub hashes_subjects: bool,
}

/// The trust bundle: what verifiers may know.
#[derive(Debug)]
pub(in crate::grpc) struct TrustApi {
    pub(in crate::grpc) authenticator: Arc<Authenticator>,
    pub(in crate::grpc) privacy: TrustPrivacy,
    pub(in crate::grpc) ring: Arc<KeyRing>,
    pub(in crate::grpc) verifiers: Arc<Verifiers>,
    pub(in crate::grpc) revocations: Arc<Revocations>,
    pub(in crate::grpc) limits: WatchLimits,
    pub(in crate::grpc) drain: Drain,
}

#[tonic::async_trait]
impl TrustBundleService for TrustApi {
    type WatchTrustBundleStream = Feed<v1::WatchTrustBundleResponse>;

    async fn get_trust_bundle(
        &self,
        request: Request<v1::GetTrustBundleRequest>,
    ) -> Result<Response<v1::GetTrustBundleResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        self.admit(&call, &request, Method::GetTrustBundle)
            .await
            .map_err(|error| error.into_status(&call))?;
        let state = self.ring.trust().borrow().clone();
        Ok(Response::new(v1::GetTrustBundleResponse {
            jwks_json: state.jwk_set.json.clone(),
            etag: state.jwk_set.etag.clone(),
            max_age: Some(convert::duration_message(self.ring.max_age(&state.jwk_set))),
            sequence: state.sequence.0,
        }))
    }

    async fn watch_trust_bundle(
        &self,
        request: Request<Streaming<v1::WatchTrustBundleRequest>>,
    ) -> Result<Response<Self::WatchTrustBundleStream>, Status> {
        let call = CallContext::of(request.extensions())?;
        let admitted = self.admit(&call, &request, Method::WatchTrustBundle).await;
        admitted.map_err(|error| error.into_status(&call))?;
        call.respond(self.watch(&call, request.into_inner()).await)
    }
}

impl TrustApi {
    /// Checks the caller, if callers need a credential.
    async fn admit<T>(
        &self,
        call: &CallContext,
        request: &Request<T>,
        method: Method,
    ) -> Result<(), CallError> {
        if self.privacy.requires_credential {
            administer(call, &self.authenticator, request, method).await?;
        }
        Ok(())
    }

    async fn watch(
        &self,
        call: &CallContext,
        mut requests: Streaming<v1::WatchTrustBundleRequest>,
    ) -> Result<Feed<v1::WatchTrustBundleResponse>, CallError> {
        let first = tokio::select! {
            first = requests.message() => first,
            () = self.drain.begun() => return Err(CallError::ShuttingDown),
        };
        let first = first.map_err(|status| CallError::Undecodable(status.message().to_owned()))?;
        let subscription = convert::subscription(first, self.privacy.hashes_subjects)?;
        let source = call.address().map(Source::of);
        let watch =
            self.verifiers.begin(subscription.verifier_id, subscription.after, source, self.limits.most)?;
        let (sender, feed) = feed::channel(LENGTH, self.limits.unread);
        let watcher = Watcher {
            ring: Arc::clone(&self.ring),
            revocations: Arc::clone(&self.revocations),
            after: subscription.after,
            heartbeat: self.limits.heartbeat,
            subject_hash: subscription.subject_hash,
            line: Line { watch, sender, drain: self.drain.clone(), requests: Some(requests) },
        };
        tokio::spawn(watcher.run().instrument(call.log_span().clone()));
        Ok(feed)
    }
}

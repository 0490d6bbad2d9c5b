//! The methods.

use std::{sync::Arc, time::Duration};

use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use super::{
    feed::{self, Feed},
    line::Line,
    watch::Watcher,
};
use crate::{
    grpc::{Drain, convert, status::CallError},
    keys::{KeyRing, VerifierCaps, Verifiers},
    model::{Peer, Source},
    proto::v1::{self, trust_bundle_service_server::TrustBundleService},
    revocations::Revocations,
};

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

/// The trust bundle: what any verifier may know.
#[derive(Debug)]
pub(in crate::grpc) struct TrustApi {
    pub(in crate::grpc) ring: Arc<KeyRing>,
    pub(in crate::grpc) verifiers: Arc<Verifiers>,
    pub(in crate::grpc) revocations: Arc<Revocations>,
    pub(in crate::grpc) limits: WatchLimits,
    pub(in crate::grpc) drain: Drain,
}

#[tonic::async_trait]
impl TrustBundleService for TrustApi {
    type WatchTrustBundleStream = Feed;

    async fn get_trust_bundle(
        &self,
        _: Request<v1::GetTrustBundleRequest>,
    ) -> Result<Response<v1::GetTrustBundleResponse>, Status> {
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
    ) -> Result<Response<Feed>, Status> {
        let source = request.extensions().get::<Peer>().map(|peer| Source::of(peer.address));
        self.watch(request.into_inner(), source).await.map(Response::new).map_err(CallError::into_status)
    }
}

impl TrustApi {
    async fn watch(
        &self,
        mut requests: Streaming<v1::WatchTrustBundleRequest>,
        source: Option<Source>,
    ) -> Result<Feed, CallError> {
        let first = tokio::select! {
            first = requests.message() => first,
            () = self.drain.begun() => return Err(CallError::ShuttingDown),
        };
        let first = first.map_err(|status| CallError::Undecodable(status.message().to_owned()))?;
        let subscription = convert::subscription(first)?;
        let watch =
            self.verifiers.begin(subscription.verifier_id, subscription.after, source, self.limits.most)?;
        let (sender, feed) = feed::channel(self.limits.unread);
        let watcher = Watcher {
            ring: Arc::clone(&self.ring),
            revocations: Arc::clone(&self.revocations),
            after: subscription.after,
            heartbeat: self.limits.heartbeat,
            line: Line { watch, sender, drain: self.drain.clone(), requests: Some(requests) },
        };
        tokio::spawn(watcher.run().instrument(tracing::Span::current()));
        Ok(feed)
    }
}

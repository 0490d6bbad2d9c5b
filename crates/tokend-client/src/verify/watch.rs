//! The watch of the trust bundle: one gRPC stream, resumed when it ends.

use std::{sync::Arc, time::Duration};

use tokend_jose::UnixTime;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, transport::Channel};
use tonic_types::StatusExt as _;

use super::trust::Trust;
use crate::{
    Clock, Credential, TokenError,
    proto::{
        WatchTrustBundleRequest, WatchTrustBundleResponse,
        trust_bundle_service_client::TrustBundleServiceClient, watch_trust_bundle_response::Update,
    },
    random,
};

/// The server sends a heartbeat every ten seconds. After this time without a response the connection is considered lost.
const SILENCE: Duration = Duration::from_secs(30);
const SHORTEST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// A watcher of the trust bundle.
pub(super) struct Watcher {
    pub(super) channel: Channel,
    pub(super) credential: Option<Credential>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) verifier_id: String,
    pub(super) trust: Arc<Trust>,
}

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
enum WatchEnd {
    #[error("the server ended the watch")]
    Ended,
    #[error("the server sent nothing for {} s", SILENCE.as_secs())]
    Silence,
    #[error("{}: {}", .0.code(), .0.message())]
    Status(#[from] Status),
    #[error(transparent)]
    Credential(#[from] TokenError),
    #[error("{0}")]
    Unusable(String),
}

impl Watcher {
    /// Watches until the task is aborted. The state survives a lost connection, and the next watch resumes from it.
    pub(super) async fn run(self) {
        let (mut sequence, mut failures) = (0, 0_u32);
        loop {
            let before = sequence;
            let Err(end) = self.watch(&mut sequence, &mut failures).await;
            // Servers end connections that are old, and stop.
            if failures == 0 {
                tracing::info!(error = %end, "the watch of tokend's trust bundle ended; it is resumed");
            } else {
                tracing::warn!(error = %end, "the watch of tokend's trust bundle cannot be resumed; it is tried again");
            }
            match &end {
                // The store went back to an earlier state.
                WatchEnd::Status(status) if reason(status) == "STATE_STALE" => sequence = 0,
                // What could not be applied is sent again, and not often.
                WatchEnd::Unusable(_) => (sequence, failures) = (before, failures.max(10)),
                _ => {}
            }
            let longest = LONGEST_DELAY.min(SHORTEST_DELAY.saturating_mul(2_u32.saturating_pow(failures)));
            failures = failures.saturating_add(1);
            sleep(random::between(longest / 2, longest)).await;
        }
    }

    /// Runs one watch until it ends.
    async fn watch(
        &self,
        sequence: &mut i64,
        failures: &mut u32,
    ) -> Result<std::convert::Infallible, WatchEnd> {
        let (acknowledgements, requests) = mpsc::channel(1);
        let first = WatchTrustBundleRequest {
            after_sequence: *sequence,
            verifier_id: self.verifier_id.clone(),
            held_sequence: 0,
            subject_hash_salt: self.trust.salt(),
        };
        let mut request = Request::new(tokio_stream::StreamExt::chain(
            tokio_stream::once(first),
            ReceiverStream::new(requests),
        ));
        if let Some(credential) = &self.credential
            && let Some(value) = credential.authorization(&*self.clock).await?
        {
            request.metadata_mut().as_mut().insert(http::header::AUTHORIZATION, value);
        }
        let mut client = TrustBundleServiceClient::new(self.channel.clone());
        let watch = timeout(SILENCE, client.watch_trust_bundle(request)).await;
        let mut responses = watch.map_err(|_| WatchEnd::Silence)??.into_inner();
        let mut is_complete = false;
        loop {
            let response = timeout(SILENCE, responses.message()).await.map_err(|_| WatchEnd::Silence)??;
            let response = response.ok_or(WatchEnd::Ended)?;
            let next = response.sequence;
            let applied = self.apply(response, &mut is_complete).map_err(WatchEnd::Unusable)?;
            (*sequence, *failures) = (next, 0);
            // A state of millions of revocations is acknowledged once.
            if applied && is_complete {
                let held = WatchTrustBundleRequest { held_sequence: next, ..Default::default() };
                acknowledgements.send(held).await.map_err(|_| WatchEnd::Ended)?;
            }
        }
    }

    /// Applies a response. Returns whether there is something to acknowledge.
    fn apply(&self, response: WatchTrustBundleResponse, is_complete: &mut bool) -> Result<bool, String> {
        // The time of the server, so that the clock of this machine does not matter.
        let as_of = UnixTime::from_seconds(response.as_of_time.unwrap_or_default().seconds);
        let applied = match response.update {
            Some(Update::JwksJson(json)) => {
                self.trust.set_keys(&json).map_err(|problem| format!("the JWK set: {problem}"))?;
                true
            }
            Some(Update::Revocation(revocation)) => {
                self.trust.revoke(revocation, as_of)?;
                true
            }
            Some(Update::SnapshotEnd(_)) => {
                *is_complete = true;
                tracing::debug!(
                    sequence = response.sequence,
                    revocations = self.trust.revocation_count(),
                    "tokend's trust bundle is complete"
                );
                true
            }
            Some(Update::Heartbeat(_)) => false,
            None => {
                return Err(
                    "an update of a kind that this version does not know; update tokend-client".to_owned()
                );
            }
        };
        // Before its end, the state lacks changes that the server has.
        if *is_complete {
            self.trust.confirm(as_of);
        }
        Ok(applied)
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

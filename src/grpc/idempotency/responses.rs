//! The responses of requests with a `request_id`.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::hmac;
use prost::Message;
use tokio::sync::OnceCell;
use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::{
    bounded_map::{BoundedMap, Limits, Reused, Slot},
    request_key::IdentifiedRequest,
};
use crate::{
    clock::Clock,
    grpc::{
        call::{CallContext, Notes},
        status::CallError,
    },
    model::{ClientId, Method},
    random::{self, RandomError},
};

/// A caller's latest responses are kept up to 32 MiB: about 16,000 tokens.
const LIMITS: Limits = Limits {
    lifetime: Duration::from_secs(10 * 60),
    entries: 131_072,
    bytes: 128 * 1024 * 1024,
    caller_fraction: 4,
};

/// Keeps the responses of requests with a `request_id`, and runs each such request once.
pub struct RequestResponses {
    clock: Arc<dyn Clock>,
    /// Fingerprints are keyed hashes, because some requests hold passwords.
    fingerprint_key: hmac::Key,
    /// Locked for a few map operations at a time: evicted responses are wiped outside the lock.
    responses: Mutex<BoundedMap<Cell>>,
}

/// A response, once it is there. Of several concurrent calls with one id, the first fills the cell.
type Cell = Arc<OnceCell<Arc<StoredResponse>>>;

/// An encoded response with the audit notes of its call.
struct StoredResponse {
    response: Zeroizing<Vec<u8>>,
    notes: Notes,
}

impl RequestResponses {
    /// Keeps no response yet.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, RandomError> {
        let key = Zeroizing::new(random::bytes::<32>()?);
        let fingerprint_key = hmac::Key::new(hmac::HMAC_SHA256, &*key);
        Ok(Self { clock, fingerprint_key, responses: Mutex::new(BoundedMap::new(LIMITS)) })
    }

    /// Identifies `request` by its `request_id`, if it has one.
    pub(in crate::grpc) fn identify(
        &self,
        caller: &ClientId,
        method: Method,
        request_id: &str,
        request: &impl Message,
    ) -> Option<IdentifiedRequest> {
        IdentifiedRequest::new(&self.fingerprint_key, caller, method, request_id, request)
    }

    /// Runs `action` and returns its response, or the response of an earlier call with the same request. Of concurrent calls, one runs
    /// and the others wait for it. A failed action is not kept. The action of an identified request runs to its end even if its caller
    /// disconnects, so that a retry receives its response; without an id, it ends with the call.
    ///
    /// The caller must be authorized before each call of this function, repeated or not.
    ///
    /// # Errors
    /// Those of `action`; and `REQUEST_ID_REUSED` after a different request with the same id.
    pub(in crate::grpc) async fn run_once<A: Message + Default + 'static>(
        self: &Arc<Self>,
        call: &Arc<CallContext>,
        identified: Option<IdentifiedRequest>,
        action: impl Future<Output = Result<A, CallError>> + Send + 'static,
    ) -> Result<A, CallError> {
        let Some(identified) = identified else { return action.await };
        let slot = self.slot(&identified)?;
        if let Some(stored) = slot.value.get() {
            return stored.repeat(call);
        }
        let (responses, shared_call) = (Arc::clone(self), Arc::clone(call));
        let (outcome, was_run) =
            Self::spawn(call, async move { responses.fill(&shared_call, &identified, &slot, action).await })
                .await?;
        if was_run { outcome?.decode() } else { outcome?.repeat(call) }
    }

    /// Runs `action` to its end even if its caller disconnects. Does not keep the response.
    ///
    /// # Errors
    /// Those of `action`.
    pub(in crate::grpc) async fn run_to_end<A: Send + 'static>(
        call: &CallContext,
        action: impl Future<Output = Result<A, CallError>> + Send + 'static,
    ) -> Result<A, CallError> {
        Self::spawn(call, action).await?
    }

    async fn spawn<A: Send + 'static>(
        call: &CallContext,
        work: impl Future<Output = A> + Send + 'static,
    ) -> Result<A, CallError> {
        tokio::spawn(work.instrument(call.log_span().clone())).await.map_err(|_| CallError::Lost)
    }

    /// Removes expired responses every `interval`, forever: without further requests, nothing else would.
    pub async fn remove_expired(self: Arc<Self>, interval: Duration) {
        /// The most responses that are removed while the lock is held.
        const BATCH: usize = 1000;
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            loop {
                let (now, mut evicted) = (self.clock.now(), Vec::new());
                self.lock().sweep(now, BATCH, &mut evicted);
                if evicted.len() < BATCH {
                    break;
                }
            }
        }
    }

    fn slot(&self, identified: &IdentifiedRequest) -> Result<Slot<Cell>, CallError> {
        let (now, mut evicted) = (self.clock.now(), Vec::new());
        let IdentifiedRequest { key, fingerprint } = identified;
        let slot = self.lock().slot(key, fingerprint, now, Cell::default, &mut evicted);
        slot.map_err(|Reused| CallError::RequestIdReused)
    }

    /// Runs `action`, unless a concurrent call runs and succeeds. The second value tells whether `action` was run.
    async fn fill<A: Message>(
        &self,
        call: &CallContext,
        identified: &IdentifiedRequest,
        slot: &Slot<Cell>,
        action: impl Future<Output = Result<A, CallError>>,
    ) -> (Result<Arc<StoredResponse>, CallError>, bool) {
        let mut was_run = false;
        let run = async {
            was_run = true;
            let response = Zeroizing::new(action.await?.encode_to_vec());
            Ok(Arc::new(StoredResponse { response, notes: call.notes() }))
        };
        let outcome = slot.value.get_or_try_init(|| run).await.cloned();
        let mut evicted = Vec::new();
        match &outcome {
            Ok(stored) if was_run => {
                self.lock().add_bytes(&identified.key, slot.number, stored.bytes(), &mut evicted);
            }
            Ok(_) => {}
            // Frees the id, unless other calls wait to run in this one's place.
            Err(_) => {
                let is_unwanted = |cell: &Cell| !cell.initialized() && Arc::strong_count(cell) <= 2;
                evicted.extend(self.lock().remove_if(&identified.key, slot.number, is_unwanted));
            }
        }
        (outcome, was_run)
    }

    fn lock(&self) -> MutexGuard<'_, BoundedMap<Cell>> {
        // No operation of the map can panic halfway: the map behind a poisoned lock is valid.
        self.responses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoredResponse {
    fn bytes(&self) -> usize {
        self.response.len() + self.notes.bytes()
    }

    fn decode<A: Message + Default>(&self) -> Result<A, CallError> {
        // This server encoded it, from a message of the same method.
        A::decode(self.response.as_slice()).map_err(|_| CallError::Lost)
    }

    /// Returns the response to a repeated request. Its audit event is that of the first call, marked as repeated.
    fn repeat<A: Message + Default>(&self, call: &CallContext) -> Result<A, CallError> {
        call.note_repeated(&self.notes);
        self.decode()
    }
}

impl fmt::Debug for RequestResponses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestResponses").finish_non_exhaustive()
    }
}

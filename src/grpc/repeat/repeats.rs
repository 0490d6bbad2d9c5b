//! Remembers answers.

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
    memory::{Bounds, Memory, Place, Reused},
    ticket::Ticket,
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

/// Of a caller's answers, the latest are kept that take 32 MiB: about 16,000 tokens.
const BOUNDS: Bounds =
    Bounds { window: Duration::from_secs(10 * 60), answers: 131_072, bytes: 128 * 1024 * 1024, shares: 4 };

/// Remembers the answers of requests that have a `request_id`.
pub struct Repeats {
    clock: Arc<dyn Clock>,
    /// Requests are told apart by a hash under a key of this process: some hold passwords.
    key: hmac::Key,
    /// Held for a few steps of maps and no longer: what goes is wiped after it was left.
    memory: Mutex<Memory<Cell>>,
}

/// Where an answer is, or will be: of several calls at once, one puts it there.
type Cell = Arc<OnceCell<Arc<Kept>>>;

/// An answer, and what its call noted.
struct Kept {
    answer: Zeroizing<Vec<u8>>,
    notes: Notes,
}

impl Repeats {
    /// An empty memory.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, RandomError> {
        let key = Zeroizing::new(random::bytes::<32>()?);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*key);
        Ok(Self { clock, key, memory: Mutex::new(Memory::new(BOUNDS)) })
    }

    /// What `request` is known by, if it names itself.
    pub(in crate::grpc) fn ticket(
        &self,
        caller: &ClientId,
        method: Method,
        request_id: &str,
        request: &impl Message,
    ) -> Option<Ticket> {
        Ticket::of(&self.key, caller, method, request_id, request)
    }

    /// The answer of `action`, or of the one before it that had the same ticket; of several at once, one acts and the others
    /// wait for it. An action that fails is not remembered. One with a ticket is finished even if its caller goes away: who
    /// asks again is then told what came of it. Whoever asks must have been allowed to, now and not only the first time.
    ///
    /// # Errors
    /// Those of `action`, and when another request had the same name.
    pub(in crate::grpc) async fn once<A: Message + Default + 'static>(
        self: &Arc<Self>,
        call: &Arc<CallContext>,
        ticket: Ticket,
        action: impl Future<Output = Result<A, CallError>> + Send + 'static,
    ) -> Result<A, CallError> {
        let place = self.place(&ticket)?;
        if let Some(kept) = place.value.get() {
            return kept.again(call);
        }
        let (repeats, own) = (Arc::clone(self), Arc::clone(call));
        let work = async move { repeats.act(&own, &ticket, &place, action).await };
        let spawned = tokio::spawn(work.instrument(call.log_span().clone()));
        let (outcome, acted) = spawned.await.map_err(|_| CallError::Lost)?;
        if acted { outcome?.answer() } else { outcome?.again(call) }
    }

    /// The same for a request that may have no `request_id`: without one, the action is the call's own and ends with it.
    ///
    /// # Errors
    /// Those of [`Self::once`].
    pub(in crate::grpc) async fn once_if_named<A: Message + Default + 'static>(
        self: &Arc<Self>,
        call: &Arc<CallContext>,
        ticket: Option<Ticket>,
        action: impl Future<Output = Result<A, CallError>> + Send + 'static,
    ) -> Result<A, CallError> {
        match ticket {
            Some(ticket) => self.once(call, ticket, action).await,
            None => action.await,
        }
    }

    /// Runs an action to its end even if its caller goes away, without remembering the answer.
    ///
    /// # Errors
    /// Those of `action`.
    pub(in crate::grpc) async fn finish<A: Send + 'static>(
        call: &CallContext,
        action: impl Future<Output = Result<A, CallError>> + Send + 'static,
    ) -> Result<A, CallError> {
        tokio::spawn(action.instrument(call.log_span().clone())).await.map_err(|_| CallError::Lost)?
    }

    /// Forgets what is too old, every `interval`, for ever: no answer is to stay because no other comes.
    pub async fn keep_tidy(self: Arc<Self>, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tidy();
        }
    }

    fn tidy(&self) {
        /// So many with the lock held, for nobody else gets in meanwhile.
        const BATCH: usize = 1000;
        loop {
            let (now, mut gone) = (self.clock.now(), Vec::new());
            self.memory().sweep(now, BATCH, &mut gone);
            if gone.len() < BATCH {
                return;
            }
        }
    }

    fn place(&self, ticket: &Ticket) -> Result<Place<Cell>, CallError> {
        let (now, mut gone) = (self.clock.now(), Vec::new());
        let place = self.memory().place(&ticket.name, &ticket.fingerprint, now, Cell::default, &mut gone);
        place.map_err(|Reused| CallError::RequestIdReused)
    }

    /// Acts, unless another call does and succeeds. The second value tells whether the action was run.
    async fn act<A: Message>(
        &self,
        call: &CallContext,
        ticket: &Ticket,
        place: &Place<Cell>,
        action: impl Future<Output = Result<A, CallError>>,
    ) -> (Result<Arc<Kept>, CallError>, bool) {
        let mut acted = false;
        let act = async {
            acted = true;
            let answer = Zeroizing::new(action.await?.encode_to_vec());
            Ok(Arc::new(Kept { answer, notes: call.notes() }))
        };
        let outcome = place.value.get_or_try_init(|| act).await.cloned();
        let mut gone = Vec::new();
        match &outcome {
            Ok(kept) if acted => {
                self.memory().weigh(&ticket.name, place.number, kept.bytes(), &mut gone);
            }
            Ok(_) => {}
            // The name is free again, unless others wait to act in its place.
            Err(_) => {
                let is_unwanted = |cell: &Cell| !cell.initialized() && Arc::strong_count(cell) <= 2;
                gone.extend(self.memory().forget(&ticket.name, place.number, is_unwanted));
            }
        }
        (outcome, acted)
    }

    fn memory(&self) -> MutexGuard<'_, Memory<Cell>> {
        // Nothing that holds the lock can leave the memory half changed.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        self.answer.len() + self.notes.bytes()
    }

    fn answer<A: Message + Default>(&self) -> Result<A, CallError> {
        // It was encoded here, from a message of the same method.
        A::decode(self.answer.as_slice()).map_err(|_| CallError::Lost)
    }

    /// The answer for one who did not act: it leaves the event of the one who did, which says that it is one more.
    fn again<A: Message + Default>(&self, call: &CallContext) -> Result<A, CallError> {
        call.repeated(&self.notes);
        self.answer()
    }
}

impl fmt::Debug for Repeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Repeats")
    }
}

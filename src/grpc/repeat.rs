//! Requests that come again (AIP-155): one whose answer was lost is answered as the first time, and not done twice.
//!
//! Answers are kept by this replica, in memory, for ten minutes. Another replica, and this one after a restart, knows
//! nothing of them: there a repeated creation is refused, for what it makes is there already. What is too old goes with the next
//! request.

use std::{
    any::Any,
    collections::HashMap,
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

use super::status::CallError;
use crate::{
    clock::Clock,
    model::{ClientId, Method, UnixTime},
    random::{self, RandomError},
};

/// How long an answer is kept.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// How many are kept; one more puts the oldest out.
const MOST: usize = 1000;

/// Remembers the answers of requests that have a `request_id`. Answers must wipe the secrets that they hold.
pub struct Repeats {
    clock: Arc<dyn Clock>,
    /// Requests are told apart by a hash under a key of this process: some hold passwords.
    key: hmac::Key,
    memory: Mutex<HashMap<Name, Entry>>,
}

/// A request that names itself.
pub(super) struct Ticket(Option<(Name, hmac::Tag)>);

#[derive(Clone, PartialEq, Eq, Hash)]
struct Name {
    caller: ClientId,
    request_id: String,
}

struct Entry {
    fingerprint: hmac::Tag,
    first_time: UnixTime,
    /// An `OnceCell` of the method's own answer.
    answer: Arc<dyn Any + Send + Sync>,
}

impl Repeats {
    /// An empty memory.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, RandomError> {
        let key = Zeroizing::new(random::bytes::<32>()?);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*key);
        Ok(Self { clock, key, memory: Mutex::default() })
    }

    /// What `request` is known by, if it names itself.
    pub(super) fn ticket(
        &self,
        caller: &ClientId,
        method: Method,
        request_id: &str,
        request: &impl Message,
    ) -> Ticket {
        if request_id.is_empty() {
            return Ticket(None);
        }
        let mut context = hmac::Context::with_key(&self.key);
        context.update(method.name().as_bytes());
        context.update(&Zeroizing::new(request.encode_to_vec()));
        let name = Name { caller: caller.clone(), request_id: request_id.to_owned() };
        Ticket(Some((name, context.sign())))
    }

    /// The answer of `action`, or of the one before it that had the same ticket; of several at once, one acts and the others
    /// wait for it. An action that fails is not remembered. One with a name is finished even if its caller goes away: who
    /// asks again is then told what came of it.
    ///
    /// # Errors
    /// Those of `action`, and when another request had the same name.
    pub(super) async fn once<A: Clone + Send + Sync + 'static>(
        &self,
        ticket: Ticket,
        action: impl Future<Output = Result<A, CallError>> + Send + 'static,
    ) -> Result<A, CallError> {
        let Some((name, fingerprint)) = ticket.0 else {
            drop(self.memory());
            return action.await;
        };
        let cell = self.cell::<A>(name, fingerprint)?;
        let work = async move { cell.get_or_try_init(|| action).await.cloned() };
        tokio::spawn(work.in_current_span()).await.unwrap_or(Err(CallError::Lost))
    }

    fn cell<A: Send + Sync + 'static>(
        &self,
        name: Name,
        fingerprint: hmac::Tag,
    ) -> Result<Arc<OnceCell<A>>, CallError> {
        let mut memory = self.memory();
        if let Some(entry) = memory.get(&name) {
            if entry.fingerprint.as_ref() != fingerprint.as_ref() {
                return Err(CallError::RequestIdReused);
            }
            let answer = Arc::clone(&entry.answer).downcast();
            // The method is part of the fingerprint, and has one kind of answer.
            return answer.map_err(|_| CallError::Lost);
        }
        if memory.len() >= MOST {
            let oldest =
                memory.iter().min_by_key(|(_, entry)| entry.first_time).map(|(name, _)| name.clone());
            oldest.and_then(|oldest| memory.remove(&oldest));
        }
        let cell = Arc::new(OnceCell::new());
        let answer: Arc<dyn Any + Send + Sync> = Arc::<OnceCell<A>>::clone(&cell);
        memory.insert(name, Entry { fingerprint, first_time: self.clock.now(), answer });
        Ok(cell)
    }

    /// The memory, without what is too old.
    fn memory(&self) -> MutexGuard<'_, HashMap<Name, Entry>> {
        let now = self.clock.now();
        // Nothing that holds the lock can leave the memory half changed.
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.retain(|_, entry| now.since(entry.first_time) < WINDOW);
        memory
    }
}

impl fmt::Debug for Repeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Repeats")
    }
}

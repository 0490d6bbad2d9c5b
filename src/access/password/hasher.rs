//! Hashing beside the calls that want none of it: on threads of its own, few at once, with a queue that has an end.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use tokio::sync::Semaphore;

use super::{
    HashCost, ImportError,
    encoded::Encoded,
    work::{self, Match, WorkError},
};
use crate::{
    model::{Password, PasswordHash},
    random::{self, RandomError},
};

/// When one who found the queue full may ask again: about as long as a queue takes to empty.
const BUSY_RETRY: Duration = Duration::from_secs(2);

/// How many passwords that operators set may wait.
const OPERATORS_QUEUE: usize = 64;

/// What steers hashing.
#[derive(Debug, Clone, Copy)]
pub struct HashingSettings {
    /// What a fresh hash costs.
    pub cost: HashCost,
    /// How many passwords are hashed at once, each on a core of its own; at least one.
    pub parallelism: usize,
    /// How many more may wait.
    pub queue: usize,
}

/// Why a password was not hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many wait already.
    #[error("too many passwords wait to be checked")]
    Busy {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The work failed.
    #[error(transparent)]
    Failed(#[from] WorkError),
    /// The thread came to an end.
    #[error("the thread that hashes came to an end")]
    Stopped,
}

/// What comparing a password showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// It is another, or there is none to compare with.
    Different,
    /// It is the one.
    Same,
    /// It is the one, and its hash is to be made anew.
    SameAndOutdated,
}

/// Hashes passwords, and compares them with hashes.
pub struct PasswordHasher {
    cost: HashCost,
    /// One for each that is hashed at once.
    workers: Arc<Semaphore>,
    /// One for each that is hashed or waits.
    places: Arc<Semaphore>,
    /// The same for those that operators set: a flood of logins must not keep them from setting another password.
    operators_places: Arc<Semaphore>,
    /// Stands in for the hash of a user that does not exist: of the present cost, and no password's.
    nobody: PasswordHash,
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl PasswordHasher {
    /// Hashes as `settings` say.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(settings: HashingSettings) -> Result<Self, RandomError> {
        let HashingSettings { cost, parallelism, queue } = settings;
        let most = Semaphore::MAX_PERMITS;
        let parallelism = parallelism.clamp(1, most);
        Ok(Self {
            cost,
            workers: Arc::new(Semaphore::new(parallelism)),
            places: Arc::new(Semaphore::new(parallelism.saturating_add(queue).min(most))),
            operators_places: Arc::new(Semaphore::new(OPERATORS_QUEUE)),
            nobody: nobody(cost)?,
        })
    }

    /// Reads a hash from elsewhere.
    pub(crate) fn import(text: String) -> Result<PasswordHash, ImportError> {
        let hash = PasswordHash::from_text(text);
        Encoded::parse(hash.reveal())?;
        Ok(hash)
    }

    /// Hashes a password that an operator sets.
    pub(crate) async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        let cost = self.cost;
        self.work(&self.operators_places, move || work::hash(&password, cost)).await
    }

    /// Hashes the password of somebody who logs in.
    pub(crate) async fn hash_anew(&self, password: Password) -> Result<PasswordHash, HashError> {
        let cost = self.cost;
        self.work(&self.places, move || work::hash(&password, cost)).await
    }

    /// Compares a password with the hash of a user. With none, because there is no such user, the same work is done: who
    /// waits for the answer cannot tell.
    pub(crate) async fn compare(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<Compared, HashError> {
        let cost = self.cost;
        let exists = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.clone());
        let found = self.work(&self.places, move || work::compare(&password, &hash, cost)).await?;
        Ok(match found {
            Match::Yes if exists => Compared::Same,
            Match::YesRenew if exists => Compared::SameAndOutdated,
            _ => Compared::Different,
        })
    }

    /// Does slow work when it is its turn. The turn lasts as long as the work, even if its caller goes away meanwhile: who hangs
    /// up and calls again gets no more done at once than anybody.
    async fn work<T: Send + 'static>(
        &self,
        places: &Arc<Semaphore>,
        work: impl FnOnce() -> Result<T, WorkError> + Send + 'static,
    ) -> Result<T, HashError> {
        let busy = HashError::Busy { retry_after: BUSY_RETRY };
        let Ok(place) = Arc::clone(places).try_acquire_owned() else { return Err(busy) };
        let Ok(turn) = Arc::clone(&self.workers).acquire_owned().await else {
            return Err(HashError::Stopped);
        };
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((turn, place));
            done
        });
        Ok(done.await.map_err(|_| HashError::Stopped)??)
    }
}

/// A hash of the present cost that is nobody's: both its salt and its output are random.
fn nobody(cost: HashCost) -> Result<PasswordHash, RandomError> {
    let salt = STANDARD_NO_PAD.encode(random::bytes::<16>()?);
    let output = STANDARD_NO_PAD.encode(random::bytes::<32>()?);
    let HashCost { memory, passes } = cost;
    Ok(PasswordHash::from_text(format!("$argon2id$v=19$m={memory},t={passes},p=1${salt}${output}")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn hasher(parallelism: usize, queue: usize) -> Arc<PasswordHasher> {
        let cost = HashCost { memory: 64, passes: 1 };
        Arc::new(PasswordHasher::new(HashingSettings { cost, parallelism, queue }).unwrap())
    }

    fn password() -> Password {
        Password::typed("correct horse".to_owned()).unwrap()
    }

    #[tokio::test]
    async fn nobody_has_a_password() {
        let hasher = hasher(1, 0);
        let hash = hasher.hash(password()).await.unwrap();
        assert_eq!(hasher.compare(password(), Some(hash)).await.unwrap(), Compared::Same);
        assert_eq!(hasher.compare(password(), None).await.unwrap(), Compared::Different);
    }

    #[tokio::test]
    async fn a_full_queue_is_said_at_once_and_a_caller_who_leaves_frees_no_worker() {
        let hasher = hasher(1, 1);
        let (release, released) = mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel::<()>();
        let busy = {
            let hasher = Arc::clone(&hasher);
            tokio::spawn(async move {
                let work = move || {
                    begin.send(()).unwrap();
                    released.recv().unwrap();
                    Ok(())
                };
                hasher.work(&hasher.places, work).await
            })
        };
        begun.await.unwrap();
        busy.abort();
        assert!(busy.await.unwrap_err().is_cancelled());
        // Its caller has gone, and still the one worker works for it: the next waits, and the one after that is refused.
        let mut waiting = Box::pin(hasher.hash_anew(password()));
        assert!(futures_are_pending(&mut waiting).await);
        assert!(matches!(hasher.hash_anew(password()).await, Err(HashError::Busy { .. })));
        assert!(matches!(hasher.compare(password(), None).await, Err(HashError::Busy { .. })));
        // What operators set waits for its turn, and is not refused.
        let mut set = Box::pin(hasher.hash(password()));
        assert!(futures_are_pending(&mut set).await);
        release.send(()).unwrap();
        waiting.await.unwrap();
        set.await.unwrap();
        hasher.hash(password()).await.unwrap();
    }

    async fn futures_are_pending(future: &mut (impl Future + Unpin)) -> bool {
        std::future::poll_fn(|context| {
            let pending = std::pin::Pin::new(&mut *future).poll(context).is_pending();
            std::task::Poll::Ready(pending)
        })
        .await
    }
}

//! Hashes passwords on blocking threads, with a concurrency limit and a bounded queue.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{
    HashCost, ImportError,
    encoded::Encoded,
    work::{self, PasswordMatch, WorkError},
};
use crate::{
    model::{Password, PasswordHash},
    random::RandomError,
};

/// The retry delay after a full queue: about the time in which the queue empties.
const BUSY_RETRY: Duration = Duration::from_secs(2);

/// The queue length of passwords that operators set.
const ADMIN_QUEUE: usize = 64;

/// Settings of password hashing.
#[derive(Debug, Clone, Copy)]
pub struct HashingSettings {
    /// The cost of a new hash.
    pub cost: HashCost,
    /// The number of concurrent hash computations, each on its own core; at least one.
    pub parallelism: usize,
    /// The length of the queue.
    pub queue: usize,
}

/// Why a password was not hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The queue is full.
    #[error("too many passwords wait to be checked")]
    Busy {
        /// The delay before a retry.
        retry_after: Duration,
    },
    /// The computation failed.
    #[error(transparent)]
    Failed(#[from] WorkError),
    /// The thread panicked.
    #[error("the password hashing thread ended unexpectedly")]
    Stopped,
}

/// Hashes passwords, and compares passwords with hashes.
pub struct PasswordHasher {
    cost: HashCost,
    /// The permits to compute.
    workers: Arc<Semaphore>,
    /// The permits to compute or wait.
    queue: Arc<Semaphore>,
    /// The permits to compute or wait for passwords that operators set, so that a flood of logins cannot block a password change.
    admin_queue: Arc<Semaphore>,
    /// Compared instead of the hash of a user that does not exist.
    dummy: PasswordHash,
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl PasswordHasher {
    /// Applies `settings`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(settings: HashingSettings) -> Result<Self, RandomError> {
        let HashingSettings { cost, parallelism, queue } = settings;
        let parallelism = parallelism.clamp(1, Semaphore::MAX_PERMITS);
        let queue = parallelism.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Ok(Self {
            cost,
            workers: Arc::new(Semaphore::new(parallelism)),
            queue: Arc::new(Semaphore::new(queue)),
            admin_queue: Arc::new(Semaphore::new(ADMIN_QUEUE)),
            dummy: work::dummy_hash(cost)?,
        })
    }

    /// Checks an imported hash.
    pub(crate) fn import(text: String) -> Result<PasswordHash, ImportError> {
        let hash = PasswordHash::from_text(text);
        Encoded::parse(hash.reveal())?;
        Ok(hash)
    }

    /// Hashes a password that an operator sets.
    pub(crate) async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        let cost = self.cost;
        self.run(&self.admin_queue, move || work::hash(&password, cost)).await
    }

    /// Hashes a password again at the current cost, after its user logged in.
    pub(crate) async fn rehash(&self, password: Password) -> Result<PasswordHash, HashError> {
        let cost = self.cost;
        self.run(&self.queue, move || work::hash(&password, cost)).await
    }

    /// Compares a password with the hash of a user. Without a hash, because the user does not exist, the same work is done, so that
    /// the response time does not tell.
    pub(crate) async fn compare(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<PasswordMatch, HashError> {
        let cost = self.cost;
        let exists = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        let found = self.run(&self.queue, move || work::compare(&password, &hash, cost)).await?;
        Ok(if exists { found } else { PasswordMatch::No })
    }

    /// Runs `work` on a blocking thread. The permits are held until the work ends, even if the caller disconnects: a disconnect and a
    /// new call get no more work done at once.
    async fn run<T: Send + 'static>(
        &self,
        queue: &Arc<Semaphore>,
        work: impl FnOnce() -> Result<T, WorkError> + Send + 'static,
    ) -> Result<T, HashError> {
        let queued = Arc::clone(queue).try_acquire_owned();
        let queued = queued.map_err(|_| HashError::Busy { retry_after: BUSY_RETRY })?;
        let worker = Arc::clone(&self.workers).acquire_owned().await.map_err(|_| HashError::Stopped)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((worker, queued));
            done
        });
        Ok(done.await.map_err(|_| HashError::Stopped)??)
    }
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
    async fn the_dummy_hash_matches_no_password() {
        let hasher = hasher(1, 0);
        let hash = hasher.hash(password()).await.unwrap();
        assert_eq!(hasher.compare(password(), Some(hash)).await.unwrap(), PasswordMatch::Yes);
        assert_eq!(hasher.compare(password(), None).await.unwrap(), PasswordMatch::No);
    }

    #[tokio::test]
    async fn a_full_queue_fails_at_once_and_a_disconnect_frees_no_worker() {
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
                hasher.run(&hasher.queue, work).await
            })
        };
        begun.await.unwrap();
        busy.abort();
        assert!(busy.await.unwrap_err().is_cancelled());
        // The caller has gone, and the only worker still computes: the next call waits, and the one after that is rejected.
        let mut waiting = Box::pin(hasher.rehash(password()));
        assert!(futures_are_pending(&mut waiting).await);
        assert!(matches!(hasher.rehash(password()).await, Err(HashError::Busy { .. })));
        assert!(matches!(hasher.compare(password(), None).await, Err(HashError::Busy { .. })));
        // A password that an operator sets waits in a queue of its own.
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

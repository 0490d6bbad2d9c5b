//! Concurrency limits: each class of calls has its own permits, so that a flood of one class never blocks another.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Overloaded;

/// The classes of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallClass {
    /// IssueToken, which is bound by the CPU.
    Issue,
    /// RefreshToken, and IssueToken that begins a session: both wait for the store.
    Session,
    /// ExchangeToken, which signs. It holds no permit while it waits for keys.
    Exchange,
    /// VerifyToken, BatchVerifyTokens, and IntrospectToken of access tokens, which read memory only. A call that looks up a key in
    /// the store leaves this class before it waits.
    Verify,
    /// IntrospectToken of refresh tokens, which reads the store.
    Introspect,
    /// Login, which waits for a password hash.
    Login,
    /// RevokeToken, which waits for the store.
    Revoke,
    /// Administrative methods.
    Admin,
}

impl CallClass {
    pub(super) const ALL: [Self; 8] = [
        Self::Issue,
        Self::Session,
        Self::Exchange,
        Self::Verify,
        Self::Introspect,
        Self::Login,
        Self::Revoke,
        Self::Admin,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Session => "session",
            Self::Exchange => "exchange",
            Self::Verify => "verify",
            Self::Introspect => "introspect",
            Self::Login => "login",
            Self::Revoke => "revoke",
            Self::Admin => "admin",
        }
    }

    /// The permits of the class in a process with `threads` threads.
    fn permits(self, threads: usize) -> usize {
        match self {
            // Leaves a thread for other calls.
            Self::Issue => threads.saturating_sub(1).max(1),
            // Each signs after its wait: few enough that calls to verify do not wait long behind them.
            Self::Session | Self::Exchange => 16,
            // Verifying waits for nothing, so far more calls than threads may be in flight.
            Self::Verify => 1024,
            // Each is one or two reads of the store. Half of the store's connections stay free for other calls.
            Self::Introspect => 4,
            // Password hashing has a limit of its own.
            Self::Login => 64,
            // Each is one write to the store, which serialises writes.
            Self::Revoke => 32,
            // The store has a few connections.
            Self::Admin => 64,
        }
    }
}

/// The limits of all classes.
#[derive(Debug)]
pub(super) struct ConcurrencyLimits([ConcurrencyLimit; CallClass::ALL.len()]);

impl ConcurrencyLimits {
    /// Limits for a process with `threads` threads; at most `queue` calls of each class wait for a permit.
    pub(super) fn new(threads: usize, queue: usize) -> Self {
        Self(CallClass::ALL.map(|class| ConcurrencyLimit::new(class.permits(threads), queue)))
    }

    pub(super) const fn of(&self, class: CallClass) -> &ConcurrencyLimit {
        let [issue, session, exchange, verify, introspect, login, revoke, admin] = &self.0;
        match class {
            CallClass::Issue => issue,
            CallClass::Session => session,
            CallClass::Exchange => exchange,
            CallClass::Verify => verify,
            CallClass::Introspect => introspect,
            CallClass::Login => login,
            CallClass::Revoke => revoke,
            CallClass::Admin => admin,
        }
    }
}

/// A semaphore with a bounded queue.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    limit: usize,
    semaphore: Arc<Semaphore>,
    queue: usize,
    queued: AtomicUsize,
    refused: AtomicU64,
}

impl ConcurrencyLimit {
    fn new(limit: usize, queue: usize) -> Self {
        let semaphore = Arc::new(Semaphore::new(limit));
        Self { limit, semaphore, queue, queued: AtomicUsize::new(0), refused: AtomicU64::new(0) }
    }

    /// Acquires a permit: at once if one is free and no call waits, else in order of arrival. Fails if the queue is full.
    pub(super) async fn acquire(&self) -> Result<OwnedSemaphorePermit, Overloaded> {
        if let Ok(permit) = Arc::clone(&self.semaphore).try_acquire_owned() {
            return Ok(permit);
        }
        let before = self.queued.fetch_add(1, SeqCst);
        let _queued = Queued(self);
        if before >= self.queue {
            self.refused.fetch_add(1, Relaxed);
            return Err(Overloaded::Class);
        }
        // The semaphore is never closed.
        Arc::clone(&self.semaphore).acquire_owned().await.map_err(|_| Overloaded::Class)
    }

    /// The numbers of running, waiting and refused calls.
    pub(super) fn counts(&self) -> (usize, usize, u64) {
        let running = self.limit.saturating_sub(self.semaphore.available_permits());
        (running, self.queued.load(Relaxed), self.refused.load(Relaxed))
    }
}

/// A call in the queue.
struct Queued<'a>(&'a ConcurrencyLimit);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    async fn waits(limit: &Arc<ConcurrencyLimit>, calls: usize) -> Vec<tokio::task::JoinHandle<()>> {
        let call = |limit: Arc<ConcurrencyLimit>| async move { drop(limit.acquire().await.unwrap()) };
        let tasks = (0..calls).map(|_| tokio::spawn(call(Arc::clone(limit)))).collect();
        while limit.counts().1 < calls {
            tokio::task::yield_now().await;
        }
        tasks
    }

    #[tokio::test]
    async fn a_full_class_queues_some_calls_and_refuses_the_rest() {
        let limit = Arc::new(ConcurrencyLimit::new(1, 2));
        let first = limit.acquire().await.unwrap();
        let waiting = waits(&limit, 2).await;
        assert_eq!(limit.acquire().await.err(), Some(Overloaded::Class));
        assert_eq!(limit.counts(), (1, 2, 1));
        drop(first);
        for call in waiting {
            call.await.unwrap();
        }
        assert_eq!(limit.counts(), (0, 0, 1));
    }

    #[tokio::test]
    async fn a_call_that_is_cancelled_in_the_queue_leaves_the_queue() {
        let limit = Arc::new(ConcurrencyLimit::new(1, 1));
        let permit = limit.acquire().await.unwrap();
        for call in waits(&limit, 1).await {
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
        }
        assert_eq!(limit.counts(), (1, 0, 0));
        drop(permit);
        assert!(limit.acquire().await.is_ok());
    }

    #[tokio::test]
    async fn issuing_leaves_a_thread_free_and_takes_no_permit_of_another_class() {
        for (threads, expected) in [(1, 1), (2, 1), (8, 7)] {
            let limits = ConcurrencyLimits::new(threads, 0);
            let issuing = limits.of(CallClass::Issue);
            let mut permits = Vec::new();
            while let Ok(permit) = issuing.acquire().await {
                permits.push(permit);
            }
            assert_eq!(permits.len(), expected);
            assert!(limits.of(CallClass::Verify).acquire().await.is_ok());
        }
    }
}

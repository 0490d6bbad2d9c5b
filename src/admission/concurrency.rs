//! Concurrency limits: each class of calls has permits of its own, so that a flood of one class never keeps another from being served.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The classes of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallClass {
    /// IssueToken, which signs and waits for nothing: as many at once as leave a thread for others.
    Issue,
    /// RefreshToken, and IssueToken that begins a session: while they wait for the store, others must be issued tokens.
    Session,
    /// ExchangeToken, which signs. It holds no permit while it waits for keys.
    Exchange,
    /// VerifyToken, BatchVerifyTokens, and IntrospectToken of access tokens: from memory. A call that has to look up a key in the
    /// store leaves this class before it waits.
    Verify,
    /// IntrospectToken of refresh tokens, which reads the store.
    Introspect,
    /// Login, which waits for the hash of a password, and must not keep others from issuing meanwhile.
    Login,
    /// RevokeToken, which waits for the store, and must keep neither operators nor those who issue from it.
    Revoke,
    /// What operators call.
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

    /// How many calls of the class may run at once in a process with so many threads.
    fn permits(self, threads: usize) -> usize {
        match self {
            Self::Issue => threads.saturating_sub(1).max(1),
            // Each signs when what it waited for is there: few enough that those who verify do not wait long behind them.
            Self::Session | Self::Exchange => 16,
            // Verifying waits for nothing: many more than there are threads may be in flight.
            Self::Verify => 1024,
            // Each is one or two reads of the store, of whose connections this leaves the other half to the rest.
            Self::Introspect => 4,
            // Logins wait for their turn among the hashes, which have a limit of their own.
            Self::Login => 64,
            // Each is one write to the store, which makes them one after the other.
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
    /// Limits for a process with so many threads, where up to `queue` calls of each class may wait for a permit.
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

/// Permits for so many calls at once, and a queue of bounded length for them.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    limit: usize,
    semaphore: Arc<Semaphore>,
    queue: usize,
    queued: AtomicUsize,
    refused: AtomicU64,
}

/// No permit is free, and the queue for them is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueueFull;

impl ConcurrencyLimit {
    fn new(limit: usize, queue: usize) -> Self {
        let semaphore = Arc::new(Semaphore::new(limit));
        Self { limit, semaphore, queue, queued: AtomicUsize::new(0), refused: AtomicU64::new(0) }
    }

    /// A permit: at once if one is free and no call waits for it, else in turn.
    pub(super) async fn acquire(&self) -> Result<OwnedSemaphorePermit, QueueFull> {
        if let Ok(permit) = Arc::clone(&self.semaphore).try_acquire_owned() {
            return Ok(permit);
        }
        let _queued = Queued::begin(self)?;
        // The semaphore is never closed.
        Arc::clone(&self.semaphore).acquire_owned().await.map_err(|_| QueueFull)
    }

    /// Calls that run, that wait, and that were refused.
    pub(super) fn counts(&self) -> (usize, usize, u64) {
        let running = self.limit.saturating_sub(self.semaphore.available_permits());
        (running, self.queued.load(Relaxed), self.refused.load(Relaxed))
    }
}

/// A call that waits for a permit.
struct Queued<'a>(&'a ConcurrencyLimit);

impl<'a> Queued<'a> {
    fn begin(limit: &'a ConcurrencyLimit) -> Result<Self, QueueFull> {
        let before = limit.queued.fetch_add(1, SeqCst);
        let queued = Self(limit);
        if before < limit.queue {
            return Ok(queued);
        }
        limit.refused.fetch_add(1, Relaxed);
        Err(QueueFull)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_class_queues_some_calls_and_refuses_the_rest() {
        let limit = Arc::new(ConcurrencyLimit::new(1, 2));
        let first = limit.acquire().await.unwrap();
        let waiting = [Arc::clone(&limit), Arc::clone(&limit)]
            .map(|limit| tokio::spawn(async move { limit.acquire().await.map(drop) }));
        while limit.counts().1 < 2 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(limit.acquire().await, Err(QueueFull)));
        assert_eq!(limit.counts(), (1, 2, 1));
        drop(first);
        for call in waiting {
            call.await.unwrap().unwrap();
        }
        assert_eq!(limit.counts(), (0, 0, 1));
    }

    #[tokio::test]
    async fn a_call_that_is_cancelled_in_the_queue_leaves_no_trace() {
        let limit = Arc::new(ConcurrencyLimit::new(1, 1));
        let permit = limit.acquire().await.unwrap();
        let other = Arc::clone(&limit);
        let call = tokio::spawn(async move { other.acquire().await.map(drop) });
        while limit.counts().1 < 1 {
            tokio::task::yield_now().await;
        }
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!(limit.counts(), (1, 0, 0));
        drop(permit);
        assert!(limit.acquire().await.is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_more_calls_run_than_there_are_permits_and_all_get_one() {
        let limit = Arc::new(ConcurrencyLimit::new(3, 10_000));
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let calls: Vec<_> = (0..2000)
            .map(|_| {
                let (limit, inside, most) = (Arc::clone(&limit), Arc::clone(&inside), Arc::clone(&most));
                tokio::spawn(async move {
                    let _permit = limit.acquire().await.unwrap();
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, SeqCst);
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!((most.load(SeqCst), limit.counts()), (3, (0, 0, 0)));
    }

    #[tokio::test]
    async fn issuing_leaves_a_thread_free_and_takes_no_permit_of_another_class() {
        for (threads, most) in [(1, 1), (2, 1), (8, 7)] {
            let limits = ConcurrencyLimits::new(threads, 0);
            let issuing = limits.of(CallClass::Issue);
            let mut permits = Vec::new();
            while let Ok(permit) = issuing.acquire().await {
                permits.push(permit);
            }
            assert_eq!(permits.len(), most);
            assert!(limits.of(CallClass::Verify).acquire().await.is_ok());
        }
    }
}

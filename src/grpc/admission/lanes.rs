//! Lanes: each kind of call has room of its own, so that a flood of one kind never keeps another from being served.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst},
};

use tokio::sync::Notify;

/// The kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum LaneName {
    /// IssueToken, which signs and waits for nothing: as many at once as leave a thread for others.
    Issue,
    /// RefreshToken, and IssueToken that begins a session: while they wait for the store, others must be issued tokens.
    Session,
    /// ExchangeToken, which signs. It has no place here while it waits for keys.
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

impl LaneName {
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
}

/// Each signs, when what it waits for is there: few enough that those who verify do not wait long behind them.
const SIGNING_AFTER_A_WAIT: usize = 16;

/// Verifying waits for nothing: many more than there are threads may be begun.
const VERIFYING: usize = 1024;

/// Each is one or two reads of the store, of whose connections this leaves the other half to those who do more.
const INTROSPECTING: usize = 4;

/// Logins wait for their turn among the hashes, which have a bound of their own.
const LOGGING_IN: usize = 64;

/// Each is one write to the store, which makes them one after the other.
const REVOKING: usize = 32;

/// The store has a few connections.
const ADMINISTERING: usize = 64;

/// All lanes.
#[derive(Debug)]
pub(super) struct Lanes([Arc<Lane>; LaneName::ALL.len()]);

impl Lanes {
    /// Lanes for a process with so many threads, where so many calls may wait in each.
    pub(super) fn new(threads: usize, waiting: usize) -> Self {
        Self(LaneName::ALL.map(|name| {
            let most = match name {
                LaneName::Issue => threads.saturating_sub(1).max(1),
                LaneName::Session | LaneName::Exchange => SIGNING_AFTER_A_WAIT,
                LaneName::Verify => VERIFYING,
                LaneName::Introspect => INTROSPECTING,
                LaneName::Login => LOGGING_IN,
                LaneName::Revoke => REVOKING,
                LaneName::Admin => ADMINISTERING,
            };
            Arc::new(Lane::new(most, waiting))
        }))
    }

    pub(super) const fn lane(&self, name: LaneName) -> &Arc<Lane> {
        let [issue, session, exchange, verify, introspect, login, revoke, admin] = &self.0;
        match name {
            LaneName::Issue => issue,
            LaneName::Session => session,
            LaneName::Exchange => exchange,
            LaneName::Verify => verify,
            LaneName::Introspect => introspect,
            LaneName::Login => login,
            LaneName::Revoke => revoke,
            LaneName::Admin => admin,
        }
    }
}

/// Room for so many calls at once, and for so many that wait.
#[derive(Debug)]
pub(super) struct Lane {
    most: usize,
    free: AtomicUsize,
    most_waiting: usize,
    waiting: AtomicUsize,
    left: Notify,
    refused: AtomicU64,
}

/// A lane is full, and so is the room before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Lane {
    fn new(most: usize, most_waiting: usize) -> Self {
        Self {
            most,
            free: AtomicUsize::new(most),
            most_waiting,
            waiting: AtomicUsize::new(0),
            left: Notify::new(),
            refused: AtomicU64::new(0),
        }
    }

    /// A place, at once if there is one and nobody waits for it.
    pub(super) async fn enter(self: &Arc<Self>) -> Result<Place, Full> {
        if self.waiting.load(SeqCst) == 0
            && let Some(place) = self.take()
        {
            return Ok(place);
        }
        let _waiting = Waiting::begin(self)?;
        loop {
            let mut left = std::pin::pin!(self.left.notified());
            // Before the look: who leaves after it will wake this call.
            left.as_mut().enable();
            if let Some(place) = self.take() {
                return Ok(place);
            }
            left.await;
        }
    }

    fn take(self: &Arc<Self>) -> Option<Place> {
        let taken = self.free.fetch_update(SeqCst, SeqCst, |free| free.checked_sub(1));
        taken.is_ok().then(|| Place(Arc::clone(self)))
    }

    /// Calls that are being worked on, that wait, and that were refused.
    pub(super) fn counts(&self) -> (usize, usize, u64) {
        let busy = self.most.saturating_sub(self.free.load(Relaxed));
        (busy, self.waiting.load(Relaxed), self.refused.load(Relaxed))
    }
}

/// A call that waits, until it does not.
struct Waiting<'a>(&'a Lane);

impl<'a> Waiting<'a> {
    fn begin(lane: &'a Lane) -> Result<Self, Full> {
        let before = lane.waiting.fetch_add(1, SeqCst);
        let waiting = Self(lane);
        if before < lane.most_waiting {
            return Ok(waiting);
        }
        lane.refused.fetch_add(1, Relaxed);
        Err(Full)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
    }
}

/// A place in a lane, given back when it is dropped.
#[derive(Debug)]
pub(in crate::grpc) struct Place(Arc<Lane>);

impl Drop for Place {
    fn drop(&mut self) {
        // In this order, and the other way round where a call waits: one of the two sees the other.
        self.0.free.fetch_add(1, SeqCst);
        if self.0.waiting.load(SeqCst) > 0 {
            self.0.left.notify_one();
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_lane_lets_some_wait_and_refuses_the_rest() {
        let lane = Arc::new(Lane::new(1, 2));
        let first = lane.enter().await.unwrap();
        let waiting = [Arc::clone(&lane), Arc::clone(&lane)]
            .map(|lane| tokio::spawn(async move { lane.enter().await.map(drop) }));
        while lane.counts().1 < 2 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(lane.enter().await, Err(Full)));
        assert_eq!(lane.counts(), (1, 2, 1));
        drop(first);
        for call in waiting {
            call.await.unwrap().unwrap();
        }
        assert_eq!(lane.counts(), (0, 0, 1));
    }

    #[tokio::test]
    async fn one_that_goes_away_while_it_waits_leaves_no_trace() {
        let lane = Arc::new(Lane::new(1, 1));
        let place = lane.enter().await.unwrap();
        let other = Arc::clone(&lane);
        let call = tokio::spawn(async move { other.enter().await.map(drop) });
        while lane.counts().1 < 1 {
            tokio::task::yield_now().await;
        }
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!(lane.counts(), (1, 0, 0));
        drop(place);
        assert!(lane.enter().await.is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_more_than_its_most_are_in_a_lane_and_all_get_in() {
        let lane = Arc::new(Lane::new(3, 10_000));
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let calls: Vec<_> = (0..2000)
            .map(|_| {
                let (lane, inside, most) = (Arc::clone(&lane), Arc::clone(&inside), Arc::clone(&most));
                tokio::spawn(async move {
                    let _place = lane.enter().await.unwrap();
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, SeqCst);
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!((most.load(SeqCst), lane.counts()), (3, (0, 0, 0)));
    }

    #[tokio::test]
    async fn issuing_leaves_a_thread_and_another_lane_is_not_its_own() {
        for (threads, most) in [(1, 1), (2, 1), (8, 7)] {
            let lanes = Lanes::new(threads, 0);
            let issuing = lanes.lane(LaneName::Issue);
            let mut places = Vec::new();
            while let Ok(place) = issuing.enter().await {
                places.push(place);
            }
            assert_eq!(places.len(), most);
            assert!(lanes.lane(LaneName::Verify).enter().await.is_ok());
        }
    }
}

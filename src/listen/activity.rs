//! What goes on on one connection: enough to tell an idle one and a hostile one from one at work.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::sync::Notify;

/// Calls that a client may take back beyond half of those that it begins. Who takes back more keeps the server at work for
/// nothing (CVE-2023-44487); hedging and short deadlines take back a few among many.
const MOST_TAKEN_BACK: u64 = 500;

/// Counts what goes on on one connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    begun: AtomicU64,
    /// Calls that have not come to their end.
    open: AtomicU64,
    answered: AtomicU64,
    taken_back: AtomicU64,
    /// Parts of answers that the client made room for.
    parts: AtomicU64,
    abused: Notify,
}

/// One call, from its headers to its answer's end.
#[derive(Debug)]
pub(super) struct Call {
    activity: Arc<Activity>,
    answered: bool,
}

impl Activity {
    /// A call begins.
    pub(super) fn call(self: &Arc<Self>) -> Call {
        self.begun.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        Call { activity: Arc::clone(self), answered: false }
    }

    /// The client takes back a call: resets its stream before the answer's end.
    pub(super) fn take_back(&self) {
        let taken_back = self.taken_back.fetch_add(1, Relaxed) + 1;
        if taken_back > self.begun.load(Relaxed) / 2 + MOST_TAKEN_BACK {
            self.abused.notify_one();
        }
    }

    /// A number that grows as long as anything goes on. An answer that its client makes no room for is no activity.
    pub(super) fn progress(&self) -> u64 {
        [&self.begun, &self.answered, &self.parts].map(|count| count.load(Relaxed)).iter().sum()
    }

    /// Whether any call goes on.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Relaxed) > 0
    }

    /// Resolves when the client has taken back far more calls than it let be answered.
    pub(super) async fn abuse(&self) {
        self.abused.notified().await;
    }
}

impl Call {
    /// A part of the answer is on its way.
    pub(super) fn part(&self) {
        self.activity.parts.fetch_add(1, Relaxed);
    }

    /// The answer is on its way to its end.
    pub(super) const fn answered(&mut self) {
        self.answered = true;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.activity.open.fetch_sub(1, Relaxed);
        if self.answered {
            self.activity.answered.fetch_add(1, Relaxed);
        } else {
            self.activity.take_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_abused(activity: &Activity) -> bool {
        tokio::select! {
            biased;
            () = activity.abuse() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn who_takes_back_half_of_the_calls_is_no_attacker() {
        let activity = Arc::new(Activity::default());
        for _ in 0..5 * MOST_TAKEN_BACK {
            drop(activity.call());
            activity.call().answered();
        }
        assert!(!is_abused(&activity).await);
        for _ in 0..=2 * MOST_TAKEN_BACK {
            drop(activity.call());
        }
        assert!(is_abused(&activity).await);
    }
}

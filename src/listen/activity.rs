//! The activity of one connection: tells idle and abusive connections from working ones.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::sync::Notify;

/// Stream resets (RST_STREAM) that a client may send beyond half of its calls. More keep the server busy without results
/// (CVE-2023-44487); hedging and short deadlines reset a few streams among many.
const RESET_ALLOWANCE: u64 = 500;

/// Counts the calls of one connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    calls: AtomicU64,
    /// Calls in flight.
    open: AtomicU64,
    completed: AtomicU64,
    resets: AtomicU64,
    /// Response messages that the client's flow-control window had room for.
    messages: AtomicU64,
    abused: Notify,
}

/// A call in flight, from its headers to the end of its response.
#[derive(Debug)]
pub(super) struct OpenCall {
    activity: Arc<Activity>,
    completed: bool,
}

impl Activity {
    pub(super) fn begin_call(self: &Arc<Self>) -> OpenCall {
        self.calls.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        OpenCall { activity: Arc::clone(self), completed: false }
    }

    /// Counts a stream that the client reset before the end of the response.
    pub(super) fn reset(&self) {
        let resets = self.resets.fetch_add(1, Relaxed) + 1;
        if resets > self.calls.load(Relaxed) / 2 + RESET_ALLOWANCE {
            self.abused.notify_one();
        }
    }

    /// A number that changes while calls begin, proceed and complete. A response that its client does not read is no progress.
    pub(super) fn progress(&self) -> u64 {
        [&self.calls, &self.completed, &self.messages].map(|count| count.load(Relaxed)).iter().sum()
    }

    pub(super) fn has_open_calls(&self) -> bool {
        self.open.load(Relaxed) > 0
    }

    /// Resolves when the client has reset too many streams.
    pub(super) async fn abuse(&self) {
        self.abused.notified().await;
    }
}

impl OpenCall {
    /// Counts a response message.
    pub(super) fn message(&self) {
        self.activity.messages.fetch_add(1, Relaxed);
    }

    /// Marks the response as complete.
    pub(super) const fn complete(&mut self) {
        self.completed = true;
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.activity.open.fetch_sub(1, Relaxed);
        if self.completed {
            self.activity.completed.fetch_add(1, Relaxed);
        } else {
            self.activity.reset();
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
    async fn a_client_may_reset_half_of_its_calls() {
        let activity = Arc::new(Activity::default());
        for _ in 0..5 * RESET_ALLOWANCE {
            drop(activity.begin_call());
            activity.begin_call().complete();
        }
        assert!(!is_abused(&activity).await);
        for _ in 0..=2 * RESET_ALLOWANCE {
            drop(activity.begin_call());
        }
        assert!(is_abused(&activity).await);
    }
}

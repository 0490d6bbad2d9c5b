//! The stages of a graceful stop.

use tokio::sync::watch;

/// The stage of the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Calls are accepted.
    Serving,
    /// New calls are rejected; calls in flight may finish.
    Draining,
    /// Calls in flight are rejected too.
    Over,
}

/// Tells calls that the server stops.
#[derive(Debug, Clone)]
pub struct Drain(watch::Sender<Stage>);

impl Default for Drain {
    fn default() -> Self {
        Self(watch::Sender::new(Stage::Serving))
    }
}

impl Drain {
    /// Rejects new calls from now on.
    pub fn begin(&self) {
        self.0.send_replace(Stage::Draining);
    }

    /// Rejects the calls in flight: each is answered with UNAVAILABLE.
    pub fn end(&self) {
        self.0.send_replace(Stage::Over);
    }

    pub(super) fn has_begun(&self) -> bool {
        *self.0.borrow() > Stage::Serving
    }

    /// Resolves when new calls are rejected. Streams without an end of their own end then.
    pub(in crate::grpc) async fn begun(&self) {
        let mut stage = self.0.subscribe();
        let _ = stage.wait_for(|stage| *stage > Stage::Serving).await;
    }

    /// Resolves when calls in flight are rejected.
    pub(super) async fn over(&self) {
        let mut stage = self.0.subscribe();
        // The sender lives as long as `self`, so that the wait cannot fail.
        let _ = stage.wait_for(|stage| *stage == Stage::Over).await;
    }
}

//! The stages of stopping, as calls see them.

use tokio::sync::watch;

/// How far stopping has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Calls are served.
    Serving,
    /// Calls that are being served are finished; no other is begun.
    Draining,
    /// Nothing is waited for any more.
    Over,
}

/// Tells calls how far stopping has come.
#[derive(Debug, Clone)]
pub struct Drain(watch::Sender<Stage>);

impl Default for Drain {
    fn default() -> Self {
        Self(watch::Sender::new(Stage::Serving))
    }
}

impl Drain {
    /// From now on no call is begun.
    pub fn begin(&self) {
        self.0.send_replace(Stage::Draining);
    }

    /// From now on no call is waited for: each that is still being served is answered with UNAVAILABLE.
    pub fn end(&self) {
        self.0.send_replace(Stage::Over);
    }

    pub(super) fn has_begun(&self) -> bool {
        *self.0.borrow() > Stage::Serving
    }

    /// Resolves when no call is begun any more: calls without an end of their own end then.
    pub(in crate::grpc) async fn begun(&self) {
        let mut stage = self.0.subscribe();
        let _ = stage.wait_for(|stage| *stage > Stage::Serving).await;
    }

    /// Resolves when no call is waited for any more.
    pub(super) async fn over(&self) {
        let mut stage = self.0.subscribe();
        // The sender lives as long as `self`: an error cannot come, and would end the wait.
        let _ = stage.wait_for(|stage| *stage == Stage::Over).await;
    }
}

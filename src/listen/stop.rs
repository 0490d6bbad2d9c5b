//! Telling connections to finish.

use std::time::Duration;

use tokio::sync::watch;

/// How long a connection on which nothing goes on has to take its leave.
pub(super) const LEAVE: Duration = Duration::from_secs(1);

/// Tells connections to finish, once.
#[derive(Debug)]
pub(super) struct Stopper(watch::Sender<bool>);

/// Hears when to finish.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stopper {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// What a connection listens to.
    pub(super) fn listener(&self) -> Stop {
        Stop(self.0.subscribe())
    }

    /// Tells all of them.
    pub(super) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Resolves when the connection is to finish.
    pub(super) async fn asked(&mut self) {
        // A stopper that is gone stops as well.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

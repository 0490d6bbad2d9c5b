//! Receives notifications of changes by LISTEN. Polling finds the changes whose notification is lost: while the connection is
//! down, or behind a pooler that does not forward notifications.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    CHANNEL,
    servers::{Current, Servers},
};

/// The pause before another attempt to connect.
const PAUSE: Duration = Duration::from_secs(1);
/// The timeout of an attempt.
const CONNECT: Duration = Duration::from_secs(5);

/// A task that receives notifications until this is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    notified: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Starts listening, on a connection of its own.
    pub(super) fn start(servers: &Servers) -> Self {
        let notified = watch::Sender::new(0);
        let task = tokio::spawn(listen(servers.follow(), notified.clone()));
        Self { notified, task }
    }

    /// A value that changes whenever a change may have been made.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.notified.subscribe()
    }

    /// Stops listening.
    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn listen(mut server: watch::Receiver<Current>, notified: watch::Sender<u64>) {
    let notify = || notified.send_modify(|count| *count = count.wrapping_add(1));
    loop {
        // A new pool each time: a connection returns to its pool, and would be used again.
        let options = (*server.borrow_and_update().options).clone();
        let pool =
            PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT).connect_lazy_with(options);
        if let Ok(mut listener) = PgListener::connect_with(&pool).await {
            // Reconnecting is done here: the server may be another one by then.
            listener.eager_reconnect(false);
            if listener.listen(CHANNEL).await.is_ok() {
                // Changes may have been made while nothing listened.
                notify();
                loop {
                    tokio::select! {
                        received = listener.try_recv() => match received {
                            Ok(Some(_)) => notify(),
                            // The connection was lost.
                            Ok(None) | Err(_) => break,
                        },
                        // The connections to the previous server are dropped.
                        _ = server.changed() => break,
                    }
                }
            }
        }
        // Polling continues meanwhile, and reports that the store cannot be read.
        tokio::time::sleep(PAUSE).await;
    }
}

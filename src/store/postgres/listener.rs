//! Hears of changes by LISTEN. What is lost while the connection is, and behind a pooler that does not pass notifications
//! on, is found by polling.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    changes::CHANNEL,
    servers::{Current, Servers},
};

/// How long to wait before another attempt to connect.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an attempt may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Hears of changes until it is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    heard: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Begins to listen, on a connection of its own.
    pub(super) fn start(servers: &Servers) -> Self {
        let heard = watch::Sender::new(0);
        let task = tokio::spawn(listen(servers.follow(), heard.clone()));
        Self { heard, task }
    }

    /// What changes whenever something may have changed.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.heard.subscribe()
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

async fn listen(mut server: watch::Receiver<Current>, heard: watch::Sender<u64>) {
    let tell = || heard.send_modify(|count| *count = count.wrapping_add(1));
    loop {
        // A pool of its own each time: a connection goes back to its pool, and would be used again.
        let options = (*server.borrow_and_update().options).clone();
        let pool =
            PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT).connect_lazy_with(options);
        if let Ok(mut listener) = PgListener::connect_with(&pool).await {
            // Not by itself: the server may be another by then.
            listener.eager_reconnect(false);
            if listener.listen(CHANNEL).await.is_ok() {
                // Whatever happened while nothing listened.
                tell();
                loop {
                    tokio::select! {
                        received = listener.try_recv() => match received {
                            Ok(Some(_)) => tell(),
                            // The connection was lost.
                            Ok(None) | Err(_) => break,
                        },
                        // Connections are dropped, this one too.
                        _ = server.changed() => break,
                    }
                }
            }
        }
        // Polling goes on meanwhile, and says that the store cannot be read.
        tokio::time::sleep(PAUSE).await;
    }
}

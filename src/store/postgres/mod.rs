//! A PostgreSQL database, which any number of replicas share.

mod listener;
mod open;
mod servers;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use sqlx::PgPool;
use tokio::{sync::watch, task::JoinHandle};

use self::{listener::Listener, servers::Servers};
use super::StoreError;

/// The channel of the notifications of changes. There is one in each database.
pub(super) const CHANNEL: &str = "tokend_changes";

/// The limit of an action. The server's own limits are shorter; this one is for a server or a network that does not respond.
const ACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// An open PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresDatabase {
    pub(super) pool: PgPool,
    servers: Arc<Servers>,
    /// The task that looks for another server when the current one is suspected.
    watch: JoinHandle<()>,
    /// Started by the first subscriber: a command that only writes needs none.
    listener: OnceLock<Listener>,
}

impl PostgresDatabase {
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.listener.get_or_init(|| Listener::start(&self.servers)).changes()
    }

    /// Waits for an action up to [`ACTION_TIMEOUT`]. Its failure may make the current server suspected.
    pub(super) async fn limit<T>(
        &self,
        action: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let action = async {
            self.servers.reload_file(&self.pool).await;
            action.await
        };
        let timeout = |_| {
            let problem = format!("no response within {} s", ACTION_TIMEOUT.as_secs());
            Err(StoreError::Unavailable(problem.into()))
        };
        let mut result = tokio::time::timeout(ACTION_TIMEOUT, action).await.unwrap_or_else(timeout);
        if let Err(StoreError::Unavailable(failure)) = &mut result
            && failure.is_pool_timeout
        {
            *failure = self.why_no_connection().into();
        }
        self.servers.record_failure(result.as_ref().err());
        result
    }

    /// Why no connection became free in time.
    fn why_no_connection(&self) -> String {
        let (connections, most) = (self.pool.size(), self.pool.options().get_max_connections());
        if connections >= most && self.pool.num_idle() == 0 {
            return format!("all {most} connections are in use: raise store_connections");
        }
        match self.servers.problem() {
            Some(problem) => format!("no new connection: {problem}"),
            None => "no new connection: the server did not accept one in time; see max_connections of PostgreSQL, and \
                     store_connections of each replica"
                .to_owned(),
        }
    }

    /// Why the server takes no writes now.
    pub(super) async fn write_problem(&self) -> Result<Option<String>, StoreError> {
        self.limit(self.servers.write_problem(&self.pool)).await
    }

    pub(super) async fn close(&self) {
        self.watch.abort();
        if let Some(listener) = self.listener.get() {
            listener.stop();
        }
        self.pool.close().await;
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

//! The server that the pool connects to. After a failover, or with a rotated password, the connections to the old server are
//! dropped, and a task looks for the one that takes writes.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection as _, PgPool, postgres::PgConnectOptions};
use tokio::{
    sync::{Mutex, Notify, watch},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    database::{self, Access, ConnectError, Connected, DatabaseLocation},
    store::StoreError,
};

/// The limit for each server when one is looked for.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause before the next look while no server takes writes.
const PAUSE: Duration = Duration::from_secs(1);

/// The server that new connections are made to.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) options: Arc<PgConnectOptions>,
    access: Access,
    /// Whether it is unknown if that still holds.
    is_suspected: bool,
    /// Connections that were made before are dropped.
    since: Instant,
}

/// Which server the pool connects to.
#[derive(Debug)]
pub(super) struct Servers {
    location: DatabaseLocation,
    current: watch::Sender<Current>,
    /// Something is wrong with the current server: look for another.
    suspected: Notify,
    /// Held while one looks.
    looking: Mutex<()>,
}

impl Servers {
    pub(super) fn new(location: DatabaseLocation, options: PgConnectOptions, access: Access) -> Self {
        let current =
            Current { options: Arc::new(options), access, is_suspected: false, since: Instant::now() };
        let (suspected, looking) = (Notify::new(), Mutex::default());
        Self { location, current: watch::Sender::new(current), suspected, looking }
    }

    /// The current server, and those that follow it.
    pub(super) fn follow(&self) -> watch::Receiver<Current> {
        self.current.subscribe()
    }

    /// Whether a connection of this age may be used.
    pub(super) fn is_current(&self, age: Duration) -> bool {
        self.current.borrow().since.elapsed() >= age
    }

    /// Whether a connection to such a server may be used. A standby is behind by any amount: what was revoked could be unknown to it.
    pub(super) fn admits(&self, access: Access) -> bool {
        access != Access::Standby || self.location.admits_read_only()
    }

    /// Whether such a connection may be kept, and there is no need to look for another server.
    pub(super) fn suffices(&self, access: Access) -> bool {
        access == Access::ReadWrite || self.location.admits_read_only()
    }

    /// Looks at what an action's failure says of the server.
    pub(super) fn note(&self, failure: Option<&StoreError>) {
        match failure {
            Some(StoreError::Unavailable(failure)) if failure.is_lost => self.drop_connections(),
            Some(StoreError::Unavailable(_)) => self.suspected.notify_one(),
            _ => {}
        }
    }

    /// Why the server takes no writes, if so.
    pub(super) async fn write_problem(&self, pool: &PgPool) -> Result<Option<String>, StoreError> {
        let access = database::access(&mut *pool.acquire().await?).await?;
        if access == Access::ReadWrite {
            return Ok(None);
        }
        self.drop_connections();
        Ok(Some(access.problem().to_owned()))
    }

    /// A connection was lost or takes no writes: all that exist are dropped, and another server is looked for. Where none took writes
    /// before, each connection is dropped when it comes back to the pool.
    fn drop_connections(&self) {
        self.current.send_if_modified(|current| {
            let is_first = !current.is_suspected && current.access == Access::ReadWrite;
            if is_first {
                (current.is_suspected, current.since) = (true, Instant::now());
            }
            is_first
        });
        self.suspected.notify_one();
    }

    /// Reads a rewritten file before the next connection is made.
    pub(super) async fn follow_file(&self, pool: &PgPool) {
        if self.location.has_changed().await {
            // What is wrong with it is logged there; connections are made as before.
            let _ = self.look(pool).await;
        }
    }

    /// Looks for a server whenever the current one is suspected, until one takes writes.
    pub(super) fn watch(self: &Arc<Self>, pool: PgPool) -> JoinHandle<()> {
        let servers = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                servers.suspected.notified().await;
                loop {
                    let found = servers.look(&pool).await;
                    // Also after a success: no more than one look a second, whatever fails.
                    tokio::time::sleep(PAUSE).await;
                    if found.is_ok_and(|access| servers.suffices(access)) {
                        break;
                    }
                }
            }
        })
    }

    async fn look(&self, pool: &PgPool) -> Result<Access, ConnectError> {
        let _one = self.looking.lock().await;
        let Connected { connection, options, access } =
            database::connect(&self.location, "", PATIENCE).await?;
        // It was only a try; the pool makes its own. How it ends does not matter.
        let _ = tokio::time::timeout(PAUSE, connection.close()).await;
        let server = |options: &PgConnectOptions| {
            (options.get_host().to_owned(), options.get_port(), options.get_socket().cloned())
        };
        pool.set_connect_options(options.clone());
        self.current.send_if_modified(|current| {
            let is_other = server(&options) != server(&current.options) || access != current.access;
            if is_other {
                let host = options.get_host();
                match access {
                    Access::ReadWrite => {
                        tracing::info!(database = %self.location, host, "connected to a server that takes writes");
                    }
                    other => {
                        let problem = other.problem();
                        tracing::warn!(database = %self.location, host, problem, "no server takes writes");
                    }
                }
            }
            // Behind the same name may be another server.
            let is_fresh = is_other || current.is_suspected && access == Access::ReadWrite;
            let since = if is_fresh { Instant::now() } else { current.since };
            *current = Current { options: Arc::new(options), access, is_suspected: false, since };
            is_fresh
        });
        Ok(access)
    }
}

//! Selects the server that the pool connects to. After a failover, or with a rotated password, the connections to the old server
//! are dropped, and a task looks for the server that takes writes.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

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

/// The timeout for each server while one is looked for.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The pause between attempts while no server takes writes.
const PAUSE: Duration = Duration::from_secs(1);

/// The server that new connections are made to.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) options: Arc<PgConnectOptions>,
    access: Access,
    /// Whether `access` may have changed.
    is_suspected: bool,
    /// Connections that were made earlier are dropped.
    since: Instant,
}

/// The servers of a database, and the one that the pool connects to.
#[derive(Debug)]
pub(super) struct Servers {
    location: DatabaseLocation,
    current: watch::Sender<Current>,
    /// Wakes the task that looks for another server.
    suspected: Notify,
    /// Held while a server is looked for.
    looking: Mutex<()>,
    /// Why no server was found last.
    problem: std::sync::Mutex<Option<String>>,
}

impl Servers {
    pub(super) fn new(location: DatabaseLocation, options: PgConnectOptions, access: Access) -> Self {
        let current =
            Current { options: Arc::new(options), access, is_suspected: false, since: Instant::now() };
        let (suspected, looking) = (Notify::new(), Mutex::default());
        Self {
            location,
            current: watch::Sender::new(current),
            suspected,
            looking,
            problem: std::sync::Mutex::default(),
        }
    }

    /// Why no server was found last; `None` if one was.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The current server, and each one after it.
    pub(super) fn follow(&self) -> watch::Receiver<Current> {
        self.current.subscribe()
    }

    /// Whether a connection of this age is one to the current server.
    pub(super) fn is_current(&self, age: Duration) -> bool {
        self.current.borrow().since.elapsed() >= age
    }

    /// Whether a connection with this access may be used. A standby lags by any amount, and may not know a revocation.
    pub(super) fn admits(&self, access: Access) -> bool {
        access != Access::Standby || self.location.admits_read_only()
    }

    /// Whether a connection with this access may be kept, so that no other server is looked for.
    pub(super) fn suffices(&self, access: Access) -> bool {
        access == Access::ReadWrite || self.location.admits_read_only()
    }

    /// Suspects the current server after an action's failure.
    pub(super) fn record_failure(&self, failure: Option<&StoreError>) {
        match failure {
            Some(StoreError::Unavailable(failure)) if failure.is_connection_lost => self.drop_connections(),
            Some(StoreError::Unavailable(_)) => self.suspected.notify_one(),
            _ => {}
        }
    }

    /// Why the server takes no writes; `None` if it does.
    pub(super) async fn write_problem(&self, pool: &PgPool) -> Result<Option<String>, StoreError> {
        let access = database::access(&mut *pool.acquire().await?).await?;
        if access == Access::ReadWrite {
            return Ok(None);
        }
        self.drop_connections();
        Ok(Some(access.problem().to_owned()))
    }

    /// Drops all connections after one was lost or took no writes, and looks for another server. If no server took writes before, each
    /// connection is dropped when it returns to the pool.
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

    /// Connects anew if the file with the URL was rewritten.
    pub(super) async fn reload_file(&self, pool: &PgPool) {
        if self.location.has_changed().await {
            // `look` logs the problem; connections are made as before.
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
                    // Also after a success: at most one attempt a second.
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
        let connected = database::connect(&self.location, "", TIMEOUT).await;
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) =
            connected.as_ref().err().map(ToString::to_string);
        let Connected { connection, options, access } = connected?;
        // The pool makes its own connections: an error on closing this one has no effect.
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
            // The same name may resolve to another server.
            let is_fresh = is_other || current.is_suspected && access == Access::ReadWrite;
            let since = if is_fresh { Instant::now() } else { current.since };
            *current = Current { options: Arc::new(options), access, is_suspected: false, since };
            is_fresh
        });
        Ok(access)
    }
}

//! Persistence: the store, in SQLite or PostgreSQL. Each query is written once, in `queries/`; `sqlite/` and `postgres/` open a
//! database and say whether it takes writes. Both pass one conformance and one concurrency suite.
//!
//! May import: `model`, `clock`, `database`, and `jose` for strict JSON. Invariant: each method is one domain action in one
//! transaction, so that a caller who disconnects leaves nothing half done.

mod action;
mod backend;
mod clock_guard;
mod error;
mod location;
mod postgres;
mod queries;
mod schema;
mod sql;
mod sqlite;

use std::{fmt, num::NonZeroU32, pin::Pin, sync::Arc};

use async_trait::async_trait;
use tokio::sync::watch;

pub use action::Action;
use action::StoreMetrics;
pub use clock_guard::ClockGuard;
pub use error::{OpenError, StoreError, StoreFailure};
pub use location::Location;
pub use sqlite::backup;

use self::backend::Backend;
use crate::metrics::MetricsRegistry;

/// The durable state of tokend. Its actions are in `queries/`, by aggregate.
#[derive(Debug)]
pub struct Store {
    backend: Arc<Backend>,
    metrics: Arc<StoreMetrics>,
    hook: Option<Arc<dyn StoreHook>>,
}

/// Code that runs around each action of a store. Tests use it to count actions, to delay them and to make them fail.
#[async_trait]
pub trait StoreHook: fmt::Debug + Send + Sync {
    /// Runs before an action.
    ///
    /// # Errors
    /// The result of the action, which is then not executed.
    async fn before(&self, _action: Action) -> Result<(), StoreError> {
        Ok(())
    }

    /// Runs after an action.
    async fn after(&self, _action: Action) {}

    /// Replaces the notifications of changes.
    fn changes(&self, changes: watch::Receiver<u64>) -> watch::Receiver<u64> {
        changes
    }

    /// Whether [`Store::close`] closes the database.
    fn closes(&self) -> bool {
        true
    }
}

impl Store {
    /// The same store with metrics of its own, and with `hook` around each action.
    pub fn with_hook(&self, hook: Arc<dyn StoreHook>) -> Arc<Self> {
        Arc::new(Self { backend: Arc::clone(&self.backend), metrics: Arc::default(), hook: Some(hook) })
    }

    /// Registers the metrics of the actions.
    pub fn register_metrics(&self, metrics: &mut MetricsRegistry) {
        self.metrics.register(metrics);
    }

    /// Executes an action within the limits of the database, and counts it. The future is boxed: it is large, and its callers need
    /// not prove that it is `Send`.
    fn action<'a, T: Send + 'a>(
        &'a self,
        action: Action,
        future: impl Future<Output = Result<T, StoreError>> + Send + 'a,
    ) -> Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>> {
        Box::pin(self.metrics.observe(action, async move {
            let Some(hook) = &self.hook else { return self.backend.limit(future).await };
            hook.before(action).await?;
            let result = self.backend.limit(future).await;
            hook.after(action).await;
            result
        }))
    }

    /// Notifies of changes to the keys, clients and revocations, as far as the database can: the value changes each time one may have
    /// been made. Others are found by comparing the change sequence.
    pub fn changes(&self) -> watch::Receiver<u64> {
        let changes = self.backend.changes();
        match &self.hook {
            Some(hook) => hook.changes(changes),
            None => changes,
        }
    }

    /// Why the store takes no writes now; `None` if it takes them. Changes nothing in the store.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn write_problem(&self) -> Result<Option<String>, StoreError> {
        self.backend.write_problem().await
    }

    /// Closes every connection, for a clean stop.
    pub async fn close(&self) {
        if self.hook.as_ref().is_none_or(|hook| hook.closes()) {
            self.backend.close().await;
        }
    }
}

/// How a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOptions {
    /// Whether a store is created if there is none. A mistyped location must not become a second, empty store.
    pub create: bool,
    /// Whether the schema of an earlier release is migrated.
    pub migrate: bool,
    /// The largest number of connections to PostgreSQL, without the one for notifications.
    pub connections: NonZeroU32,
}

impl OpenOptions {
    /// Opens an existing store. Few connections suffice: requests are served from memory, and a server has about 100 connections for
    /// all replicas and other programs.
    pub const EXISTING: Self =
        Self { create: false, migrate: true, connections: NonZeroU32::MIN.saturating_add(7) };
    /// Opens an existing store of this release, and changes nothing.
    pub const UNCHANGED: Self = Self { migrate: false, ..Self::EXISTING };
    /// Opens a store, or creates it.
    pub const CREATE: Self = Self { create: true, ..Self::EXISTING };
}

/// Opens the store at `location`, or creates it there.
///
/// # Errors
/// As [`open_with`].
pub async fn open(location: &Location) -> Result<Arc<Store>, OpenError> {
    open_with(location, &OpenOptions::CREATE).await
}

/// Opens the store at `location`: checks it, and migrates its schema to this binary's version.
///
/// # Errors
/// See [`OpenError`]; a database that is rejected is not changed.
pub async fn open_with(location: &Location, options: &OpenOptions) -> Result<Arc<Store>, OpenError> {
    let backend = Arc::new(Backend::open(location, options).await?);
    let store = Store { backend, metrics: Arc::default(), hook: None };
    let unreachable = |error: StoreError| OpenError::Unreachable {
        location: location.to_string(),
        problem: error.to_string(),
    };
    store.warn_of_ambiguous_users().await.map_err(unreachable)?;
    Ok(Arc::new(store))
}

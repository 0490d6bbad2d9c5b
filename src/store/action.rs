//! The actions of the store, and their metrics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use super::StoreError;
use crate::{
    metrics::{Durations, MetricsRegistry},
    spans,
};

/// Defines [`Action`] from each action's name in the metrics.
macro_rules! actions {
    ($($action:ident = $name:literal,)+) => {
        /// An action of the store.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is the method of the store with the same name")]
        pub enum Action {
            $($action,)+
        }

        impl Action {
            /// The name of each action in the metrics.
            const NAMES: [&'static str; [$($name),+].len()] = [$($name),+];
        }
    };
}

actions! {
    ChangeSequence = "change_sequence",
    Keys = "keys",
    ChangeKeys = "change_keys",
    SealingKeys = "sealing_keys",
    EnsureSealingKey = "ensure_sealing_key",
    ReportReplica = "report_replica",
    Replicas = "replicas",
    ForgetReplica = "forget_replica",
    Clock = "clock",
    MarkClock = "mark_clock",
    Clients = "clients",
    Client = "client",
    ClientsPage = "clients_page",
    CreateClient = "create_client",
    PutClient = "put_client",
    UpdateClient = "update_client",
    DeleteClient = "delete_client",
    DeleteClientVersion = "delete_client_version",
    // The name of this action since the first release.
    UpdateClientSecrets = "add_client_secret",
    UseAssertion = "use_assertion",
    ForgetAssertions = "forget_assertions",
    CreateUser = "create_user",
    User = "user",
    UserByName = "user_by_name",
    UsersPage = "users_page",
    UpdateUser = "update_user",
    SetUserPassword = "set_user_password",
    RehashUserPassword = "rehash_user_password",
    DeleteUser = "delete_user",
    CreateSession = "create_session",
    CreateUserSession = "create_user_session",
    Session = "session",
    RotateSession = "rotate_session",
    SessionsPage = "sessions_page",
    ForgetSessions = "forget_sessions",
    Revoke = "revoke",
    Revocations = "revocations",
    ForgetRevocations = "forget_revocations",
}

#[derive(Debug, Default)]
struct ActionMetrics {
    durations: Durations,
    errors: AtomicU64,
}

/// The metrics of the store: `tokend_store_action_duration_seconds` and `tokend_store_errors_total`, by action.
#[derive(Debug)]
pub struct StoreMetrics([ActionMetrics; Action::NAMES.len()]);

impl Default for StoreMetrics {
    fn default() -> Self {
        Self(std::array::from_fn(|_| ActionMetrics::default()))
    }
}

impl StoreMetrics {
    /// Waits for an action and counts it. An action whose caller disconnects is not counted.
    pub(super) async fn observe<T>(
        &self,
        action: Action,
        future: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let _step = spans::step("store");
        let start = Instant::now();
        let result = future.await;
        if let Some(metrics) = self.0.get(action as usize) {
            metrics.durations.observe(start.elapsed());
            // `NotFound` and `AlreadyExists` are results, and no failures of the store.
            if let Err(StoreError::Unavailable(_) | StoreError::Corrupt { .. }) = &result {
                metrics.errors.fetch_add(1, Relaxed);
            }
        }
        result
    }

    /// Registers the metrics, from the start with all actions.
    pub(super) fn register(self: &Arc<Self>, metrics: &mut MetricsRegistry) {
        let scraped = Arc::clone(self);
        metrics.on_scrape(move |scrape| {
            let durations = scraped.by_name().map(|(labels, action)| (labels, &action.durations));
            let help = "How long the store's actions took, by action";
            scrape.durations("tokend_store_action_duration", help, durations)?;
            let errors = scraped.by_name().map(|(labels, action)| (labels, action.errors.load(Relaxed)));
            let help = "Store actions that failed: the store was unavailable, or a row was invalid";
            scrape.counters("tokend_store_errors", help, errors)
        });
    }

    fn by_name(&self) -> impl Iterator<Item = ([(&'static str, &'static str); 1], &ActionMetrics)> {
        Action::NAMES.into_iter().map(|name| [("action", name)]).zip(&self.0)
    }
}

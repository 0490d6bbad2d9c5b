//! Readiness: whether this replica serves calls, and the causes if it does not.

use std::collections::BTreeSet;

use tokio::sync::watch;

/// A cause for which the replica is not ready. Several can hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotReady {
    /// The server has not finished starting.
    Starting,
    /// The server is stopping.
    ShuttingDown,
    /// The revocations in memory are older than `staleness_bound`: VerifyToken returns STATE_STALE.
    StateStale,
    /// The audit log is required and cannot be written: calls that need an audit event fail.
    AuditUnavailable,
    /// The store is read-only: keys cannot rotate, and calls that write fail.
    StoreReadOnly,
}

impl NotReady {
    /// The reason in the response body, and in the errors of calls that fail for this cause.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::StateStale => "STATE_STALE",
            Self::AuditUnavailable => "AUDIT_UNAVAILABLE",
            Self::StoreReadOnly => "STORE_READ_ONLY",
        }
    }

    /// The text in the response body, which is public.
    const fn text(self) -> &'static str {
        match self {
            Self::Starting => "the server has not finished starting",
            Self::ShuttingDown => "the server is stopping",
            Self::StateStale => {
                "the revocations have not been read from the store for longer than staleness_bound"
            }
            Self::AuditUnavailable => "the audit log is required and cannot be written",
            Self::StoreReadOnly => "the store accepts no writes",
        }
    }

    /// Whether some calls still succeed. `ready_when_degraded` tolerates such a cause.
    const fn is_degraded(self) -> bool {
        !matches!(self, Self::Starting | Self::ShuttingDown)
    }
}

/// The causes for which the replica is not ready now.
#[derive(Debug, Clone)]
pub struct Readiness {
    causes: watch::Sender<BTreeSet<NotReady>>,
    ready_when_degraded: bool,
}

impl Readiness {
    /// The readiness of a starting server. With `ready_when_degraded`, only [`NotReady::Starting`] and [`NotReady::ShuttingDown`] make
    /// it not ready.
    pub fn starting(ready_when_degraded: bool) -> Self {
        Self { causes: watch::Sender::new(BTreeSet::from([NotReady::Starting])), ready_when_degraded }
    }

    /// Sets or clears a cause, and returns whether that is a change. Logs changes.
    pub fn set(&self, cause: NotReady, holds: bool) -> bool {
        let changed = self
            .causes
            .send_if_modified(|causes| if holds { causes.insert(cause) } else { causes.remove(&cause) });
        if changed && cause.is_degraded() {
            let (reason, ready) = (cause.reason(), self.is_ready());
            if holds {
                tracing::error!(reason, ready, "degraded: {}", cause.text());
            } else {
                tracing::info!(reason, ready, "no longer degraded");
            }
        }
        changed
    }

    /// Whether the replica is ready.
    pub fn is_ready(&self) -> bool {
        self.causes.borrow().iter().all(|cause| self.tolerates(*cause))
    }

    /// Notifies of changed causes.
    pub fn changes(&self) -> watch::Receiver<BTreeSet<NotReady>> {
        self.causes.subscribe()
    }

    /// The reason and the text of each cause.
    pub fn causes(&self) -> Vec<(&'static str, &'static str)> {
        self.causes.borrow().iter().map(|cause| (cause.reason(), cause.text())).collect()
    }

    /// The response body: one line for each cause, tolerated ones included.
    pub(super) fn body(&self) -> String {
        let causes = self.causes.borrow();
        let mut body = String::new();
        if causes.iter().all(|cause| self.tolerates(*cause)) {
            body.push_str("ok\n");
        }
        for cause in causes.iter() {
            body.extend([cause.reason(), ": ", cause.text(), "\n"]);
        }
        body
    }

    const fn tolerates(&self, cause: NotReady) -> bool {
        self.ready_when_degraded && cause.is_degraded()
    }
}

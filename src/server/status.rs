//! The state of this replica, for StatusService.

use std::{sync::Arc, time::Duration};

use super::state::State;
use crate::{
    grpc::{StatusSource, timestamp},
    http::Readiness,
    listen::TlsReloader,
    model::{ReplicaReport, UnixTime},
    proto::v1,
};

/// A certificate that expires within this time is a problem: whatever renews it should have done so.
const CERTIFICATE_MARGIN: Duration = Duration::from_secs(7 * 86_400);

/// How long the reports of the replicas may take to read: an operator asks most when the store hangs.
const STORE_WAIT: Duration = Duration::from_secs(2);

/// Reads the state of this replica.
#[derive(Debug)]
pub(super) struct ReplicaStatus {
    pub(super) state: State,
    pub(super) readiness: Readiness,
    pub(super) tls: Option<Arc<TlsReloader>>,
    pub(super) issuer: String,
    pub(super) store: String,
    pub(super) start_time: UnixTime,
}

#[tonic::async_trait]
impl StatusSource for ReplicaStatus {
    async fn status(&self) -> v1::GetStatusResponse {
        let now = self.state.clock.now();
        let mut problems = Problems::default();
        for (reason, message) in self.readiness.causes() {
            problems.add(reason, message);
        }
        let replicas = self.replicas(&mut problems).await;
        self.check_keys(&mut problems);
        self.check_rows(&mut problems);
        if self.state.guard.now().is_none() {
            problems.add(
                "CLOCK_IN_DOUBT",
                "the clock is not trusted, so that keys do not rotate; see docs/rotation.md",
            );
        }
        let tls_certificate_expire_time = self.check_tls(now, &mut problems);
        v1::GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            issuer: self.issuer.clone(),
            store: self.store.clone(),
            start_time: Some(timestamp(self.start_time)),
            server_time: Some(timestamp(now)),
            ready: self.readiness.is_ready(),
            problems: problems.0,
            tls_certificate_expire_time: tls_certificate_expire_time.map(timestamp),
            replicas,
        }
    }
}

impl ReplicaStatus {
    async fn replicas(&self, problems: &mut Problems) -> Vec<v1::Replica> {
        let reports = match tokio::time::timeout(STORE_WAIT, self.state.store.replicas()).await {
            Ok(Ok(reports)) => reports,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the reports of the replicas cannot be read");
                problems.add(
                    "STORE_UNAVAILABLE",
                    "the store cannot be reached; tokens are issued and verified from memory",
                );
                return Vec::new();
            }
            Err(_elapsed) => {
                problems.add(
                    "STORE_UNAVAILABLE",
                    "the store does not respond; tokens are issued and verified from memory",
                );
                return Vec::new();
            }
        };
        let own = self.state.key_manager.replica_id();
        let newest = reports.iter().map(|report| report.held).max();
        for report in reports.iter().filter(|report| Some(report.held) < newest) {
            let message = format!("replica {} has not loaded the last change of the keys", report.replica_id);
            problems.add("REPLICA_BEHIND", message);
        }
        let replica = |report: ReplicaReport| v1::Replica {
            held_sequence: report.held.0.unsigned_abs(),
            verifiers: report.verifiers.iter().map(|held| held.count).sum(),
            is_self: report.replica_id == own,
            replica_id: report.replica_id,
        };
        reports.into_iter().map(replica).collect()
    }

    fn check_keys(&self, problems: &mut Problems) {
        let ring = &self.state.ring;
        for (key_id, problem) in ring.usability() {
            if let Some(problem) = problem {
                problems.add("KEY_UNUSABLE", format!("key {key_id}: {problem}"));
            }
        }
        for key_id in ring.created_ahead() {
            let message = format!(
                "key {key_id} was created in the future: the clock was or is wrong; correct the clock, and see docs/rotation.md, The clock"
            );
            problems.add("KEY_CREATED_AHEAD", message);
        }
        if ring.default_key_id().is_none() {
            problems.add(
                "NO_ACTIVE_KEY",
                "no key of the default algorithm may sign; create one: tokend key create",
            );
        }
    }

    fn check_rows(&self, problems: &mut Problems) {
        let tables = [("keys", self.state.ring.row_counts()), ("clients", self.state.directory.row_counts())];
        for (table, (untrusted, _)) in tables.into_iter().filter(|(_, (untrusted, _))| *untrusted > 0) {
            let message =
                format!("{untrusted} stored {table} fail their check and are not used; see docs/sealing.md");
            problems.add("ROWS_UNTRUSTED", message);
        }
    }

    /// Returns the time when the certificate expires.
    fn check_tls(&self, now: UnixTime, problems: &mut Problems) -> Option<UnixTime> {
        let tls = self.tls.as_ref()?;
        if !tls.is_usable() {
            problems.add(
                "TLS_FILES_UNUSABLE",
                "the TLS files cannot be used, and their former contents are in use; see the log",
            );
        }
        let (_, expire_time) = tls.certificate();
        let expire_time = expire_time?;
        if expire_time < now.after(CERTIFICATE_MARGIN) {
            problems.add(
                "TLS_CERTIFICATE_EXPIRES",
                format!("the TLS certificate expires at {expire_time}; renew it"),
            );
        }
        Some(expire_time)
    }
}

#[derive(Default)]
struct Problems(Vec<v1::StatusProblem>);

impl Problems {
    fn add(&mut self, reason: &str, message: impl Into<String>) {
        self.0.push(v1::StatusProblem { reason: reason.to_owned(), message: message.into() });
    }
}

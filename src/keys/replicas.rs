//! Waiting for the other replicas: a key that is activated immediately may sign when every live replica holds it.
//!
//! A replica reports the last change that it holds. A killed replica stops reporting; only a timeout, by the clock of the waiting
//! replica, distinguishes it from a slow one.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::model::{ChangeSequence, ReplicaReport, UnixTime};

/// The time after which a replica that does not load a change is treated as gone. If it only lost its connection to the store, it returns
/// UNAVAILABLE for tokens of a key that it does not hold.
const GONE_AFTER: Duration = Duration::from_secs(15);

/// The replicas that lag behind: the change that each holds, and since when.
#[derive(Debug, Default)]
pub(super) struct LaggingReplicas(Mutex<HashMap<String, (ChangeSequence, UnixTime)>>);

impl LaggingReplicas {
    /// Whether every live replica of `reports` other than `own` holds the change `sequence`. Returns the replicas that are gone, so that
    /// their reports can be deleted; an error means that a live replica lags behind.
    pub(super) fn all_hold(
        &self,
        reports: &[ReplicaReport],
        own: &str,
        sequence: ChangeSequence,
        now: UnixTime,
    ) -> Result<Vec<String>, ()> {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = |report: &&ReplicaReport| report.replica_id != own && report.held < sequence;
        let behind: Vec<&ReplicaReport> = reports.iter().filter(behind).collect();
        since.retain(|replica_id, _| behind.iter().any(|report| report.replica_id == *replica_id));
        let mut gone = Vec::new();
        for report in &behind {
            let entry = since.entry(report.replica_id.clone()).or_insert((report.held, now));
            if entry.0 != report.held {
                // It made progress, so it is alive: the timeout begins again.
                *entry = (report.held, now);
            }
            if now.since(entry.1) >= GONE_AFTER {
                gone.push(report.replica_id.clone());
            }
        }
        if gone.len() == behind.len() { Ok(gone) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(replica_id: &str, held: i64) -> ReplicaReport {
        ReplicaReport { replica_id: replica_id.to_owned(), held: ChangeSequence(held), verifiers: Vec::new() }
    }

    #[test]
    fn a_replica_is_waited_for_until_it_is_gone() {
        let lagging = LaggingReplicas::default();
        let all_hold = |reports: &[ReplicaReport], now| {
            lagging.all_hold(reports, "own", ChangeSequence(10), UnixTime::from_seconds(now))
        };
        assert_eq!(all_hold(&[report("own", 0), report("a", 10)], 0), Ok(vec![]));
        assert_eq!(all_hold(&[report("a", 9), report("b", 10)], 0), Err(()));
        assert_eq!(all_hold(&[report("a", 8), report("b", 10)], 14), Err(()), "it moved");
        assert_eq!(all_hold(&[report("a", 8), report("c", 1)], 29), Err(()), "c is new");
        assert_eq!(all_hold(&[report("a", 8), report("c", 1)], 44), Ok(vec!["a".to_owned(), "c".to_owned()]));
        assert_eq!(all_hold(&[report("a", 10), report("c", 12)], 45), Ok(vec![]));
    }
}

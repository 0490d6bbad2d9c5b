//! Waiting for the other replicas: a key that is to sign at once may do so when every replica that lives has it.
//!
//! A replica reports what it holds after each change of the keys. One that was killed reports nothing any more; it is told
//! from one that is slow by waiting, by the waiting replica's own clock.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::model::{ChangeSequence, ReplicaReport, UnixTime};

/// A replica that is this long behind a change is gone, or cut off from the store: then it cannot hear of it, and answers
/// that the store is unavailable where it meets a key that it does not know.
const GONE_AFTER: Duration = Duration::from_secs(15);

/// The replicas that are waited for, each since when.
#[derive(Debug, Default)]
pub(super) struct Laggards(Mutex<HashMap<String, (ChangeSequence, UnixTime)>>);

impl Laggards {
    /// Whether every replica of `reports` that lives, but for `own`, holds the change `sequence`. Those that are gone are
    /// answered, so that their reports can be forgotten.
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
                // It came forward: it lives, and is given time again.
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
        let laggards = Laggards::default();
        let ask = |reports: &[ReplicaReport], now| {
            laggards.all_hold(reports, "own", ChangeSequence(10), UnixTime::from_seconds(now))
        };
        assert_eq!(ask(&[report("own", 0), report("a", 10)], 0), Ok(vec![]));
        assert_eq!(ask(&[report("a", 9), report("b", 10)], 0), Err(()));
        assert_eq!(ask(&[report("a", 8), report("b", 10)], 14), Err(()), "it moved");
        assert_eq!(ask(&[report("a", 8), report("c", 1)], 29), Err(()), "c is new");
        assert_eq!(ask(&[report("a", 8), report("c", 1)], 44), Ok(vec!["a".to_owned(), "c".to_owned()]));
        assert_eq!(ask(&[report("a", 10), report("c", 12)], 45), Ok(vec![]));
    }
}

//! Reports of the replicas of one store.

use serde::{Deserialize, Serialize};

use super::ChangeSequence;

/// The change of the keys that a replica has loaded, and those that its verifiers have loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaReport {
    /// The replica's id, which is random at each start.
    pub replica_id: String,
    /// The change of the keys that the replica has loaded.
    pub held: ChangeSequence,
    /// How many of its verifiers hold which change; few entries, for most hold the last.
    pub verifiers: Vec<Held>,
}

/// The number of verifiers that have loaded a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The change.
    pub sequence: i64,
    /// The number of verifiers.
    pub count: u32,
}

/// The number of verifiers that have loaded a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifiersReady {
    /// Verifiers that have loaded the change.
    pub ready: u32,
    /// All connected verifiers.
    pub total: u32,
}

impl VerifiersReady {
    /// Counts the verifiers in `reports` that have loaded the change `sequence`.
    pub fn count(reports: &[ReplicaReport], sequence: ChangeSequence) -> Self {
        let mut ready = Self::default();
        for held in reports.iter().flat_map(|report| &report.verifiers) {
            ready.total = ready.total.saturating_add(held.count);
            if held.sequence >= sequence.0 {
                ready.ready = ready.ready.saturating_add(held.count);
            }
        }
        ready
    }

    /// Whether all verifiers have loaded the change.
    pub const fn all(self) -> bool {
        self.ready >= self.total
    }
}

//! What the replicas of one store tell each other.

use serde::{Deserialize, Serialize};

use super::ChangeSequence;

/// What a replica holds, and what the verifiers hold that watch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaReport {
    /// The replica: a random name, made anew at each start.
    pub replica_id: String,
    /// The change of the keys that it holds in memory.
    pub held: ChangeSequence,
    /// How many of its verifiers hold which change; few entries, for most hold the last.
    pub verifiers: Vec<Held>,
}

/// So many verifiers hold this change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The change.
    pub sequence: i64,
    /// How many.
    pub count: u32,
}

/// How many verifiers hold a change, of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifiersReady {
    /// Those that hold it.
    pub ready: u32,
    /// All that watch.
    pub total: u32,
}

impl VerifiersReady {
    /// How many of the verifiers in `reports` hold the change `sequence`.
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

    /// Whether all hold it.
    pub const fn all(self) -> bool {
        self.ready >= self.total
    }
}

//! Reports of the replicas. They count no change: they are about the changes.

use super::{Action, Row, Store, StoreError, values};
use crate::model::{ChangeSequence, ReplicaReport};

impl Store {
    /// Replaces the report of a replica.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn report_replica(&self, report: &ReplicaReport) -> Result<(), StoreError> {
        self.action(Action::ReportReplica, async {
            let sql = "INSERT INTO replicas (replica_id, held, verifiers) VALUES ($1, $2, $3) \
                       ON CONFLICT (replica_id) DO UPDATE SET held = excluded.held, verifiers = excluded.verifiers";
            let verifiers = serde_json::to_string(&report.verifiers)
                .map_err(|error| corrupt(&report.replica_id, error))?;
            let values = values![&report.replica_id, report.held.0, verifiers];
            self.backend.writer().await?.execute(sql, values).await?;
            Ok(())
        })
        .await
    }

    /// The report of each replica, by id. A replica that was killed leaves its last report.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`]
    pub async fn replicas(&self) -> Result<Vec<ReplicaReport>, StoreError> {
        self.action(Action::Replicas, async {
            let sql = "SELECT replica_id, held, verifiers FROM replicas ORDER BY replica_id";
            self.backend.reader().await?.fetch_all(sql, vec![], read).await
        })
        .await
    }

    /// Deletes the report of a replica, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn forget_replica(&self, replica_id: &str) -> Result<(), StoreError> {
        self.action(Action::ForgetReplica, async {
            let sql = "DELETE FROM replicas WHERE replica_id = $1";
            self.backend.writer().await?.execute(sql, values![replica_id]).await?;
            Ok(())
        })
        .await
    }
}

fn read(row: &Row) -> Result<ReplicaReport, StoreError> {
    let replica_id: String = row.get("replica_id")?;
    let verifiers =
        serde_json::from_str(row.get("verifiers")?).map_err(|error| corrupt(&replica_id, error))?;
    Ok(ReplicaReport { held: ChangeSequence(row.get("held")?), verifiers, replica_id })
}

fn corrupt(replica_id: &str, error: serde_json::Error) -> StoreError {
    StoreError::corrupt("replicas", "verifiers", replica_id, error)
}

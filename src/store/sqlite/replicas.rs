//! What the replicas hold, in SQLite. No change to count: it is about the changes.

use sqlx::{Executor, Sqlite};

use crate::{
    model::ReplicaReport,
    store::{
        StoreError,
        rows::{self, ReplicaColumns},
    },
};

/// Keeps what a replica holds.
pub(super) async fn report<'c>(
    executor: impl Executor<'c, Database = Sqlite>,
    report: &ReplicaReport,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO replicas (replica_id, held, verifiers) VALUES (?1, ?2, ?3) \
         ON CONFLICT (replica_id) DO UPDATE SET held = excluded.held, verifiers = excluded.verifiers",
    )
    .bind(&report.replica_id)
    .bind(report.held.0)
    .bind(rows::verifiers_text(report)?)
    .execute(executor)
    .await?;
    Ok(())
}

/// What each replica holds.
pub(super) async fn all<'c>(
    executor: impl Executor<'c, Database = Sqlite>,
) -> Result<Vec<ReplicaReport>, StoreError> {
    let rows: Vec<ReplicaColumns> =
        sqlx::query_as("SELECT replica_id, held, verifiers FROM replicas ORDER BY replica_id")
            .fetch_all(executor)
            .await?;
    rows.into_iter().map(rows::replica).collect()
}

/// Deletes what a replica reported.
pub(super) async fn forget<'c>(
    executor: impl Executor<'c, Database = Sqlite>,
    replica_id: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM replicas WHERE replica_id = ?1").bind(replica_id).execute(executor).await?;
    Ok(())
}

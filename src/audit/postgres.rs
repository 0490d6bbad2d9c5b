//! The sink for a table of a PostgreSQL database, which may be the database of the store.

use std::{borrow::Cow, sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{
    Connection as _, PgConnection, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

use super::{
    record::AuditRecord,
    sink::{AuditOpenError, Sink, SinkError},
};
use crate::database::{self, Access, Connected, DatabaseLocation};

/// The timeout of a batch, including a new connection: less than the timeout of a call that waits for it.
const TIMEOUT: Duration = Duration::from_secs(4);

/// The timeout of the migration, which another replica may be running.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(60);

/// The timeouts in the database server, in milliseconds.
const SESSION: &str = "SET statement_timeout = 4000; SET idle_in_transaction_session_timeout = 10000";

/// A table of its own, because the database of the store has a migrations table, too.
const MIGRATIONS_TABLE: &str = "tokend_audit_migrations";

/// Instance and sequence number identify a record, so that a record that is written again after a lost response is stored once.
const INSERT: &str = "INSERT INTO audit_events (instance, sequence, time, event)
    SELECT line.instance, line.sequence, to_timestamp(line.time), line.event::jsonb
    FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::text[]) AS line (instance, sequence, time, event)
    ON CONFLICT DO NOTHING";

/// The table `audit_events`.
#[derive(Debug)]
pub(super) struct PostgresSink {
    location: DatabaseLocation,
    /// None after a failure: the next batch connects to a server that accepts writes.
    connection: Option<PgConnection>,
}

impl PostgresSink {
    /// Connects, and creates the table if there is none.
    pub(super) async fn open(location: DatabaseLocation) -> Result<Self, AuditOpenError> {
        location.warn_of_ignored();
        let failed = |problem: String| {
            let problem = format!("{location}: {problem}");
            AuditOpenError { setting: "audit_postgres", problem }
        };
        let connected = database::connect_at_start(&location, TIMEOUT).await;
        let connected = connected.map_err(|error| error.to_string()).and_then(writable);
        let mut connection = connected.map_err(failed)?;
        let prepare = async {
            migrate(&mut connection).await?;
            // An error while closing does not matter.
            let _ = connection.close().await;
            Ok(())
        };
        match tokio::time::timeout(MIGRATION_TIMEOUT, prepare).await {
            Ok(prepared) => prepared.map_err(failed)?,
            Err(_) => return Err(failed(format!("no answer within {} s", MIGRATION_TIMEOUT.as_secs()))),
        }
        Ok(Self { location, connection: None })
    }

    async fn insert(&mut self, records: &[Arc<AuditRecord>]) -> Result<(), SinkError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.location, SESSION).await?,
        };
        let instances: Vec<&str> = records.iter().map(|record| &*record.instance).collect();
        let sequences: Vec<i64> =
            records.iter().map(|record| i64::try_from(record.sequence).unwrap_or(i64::MAX)).collect();
        let times: Vec<i64> = records.iter().map(|record| record.time.seconds()).collect();
        let events: Vec<&str> = records.iter().map(|record| record.json()).collect();
        let insert = sqlx::query(INSERT).bind(instances).bind(sequences).bind(times).bind(events);
        insert.execute(&mut connection).await?;
        self.connection = Some(connection);
        Ok(())
    }
}

/// Connects to a server that accepts writes.
async fn connect(location: &DatabaseLocation, session: &'static str) -> Result<PgConnection, SinkError> {
    let connected = database::connect(location, session, TIMEOUT).await;
    connected.map_err(|error| error.to_string()).and_then(writable).map_err(SinkError)
}

/// The connection, if its server accepts writes.
fn writable(connected: Connected) -> Result<PgConnection, String> {
    match connected {
        Connected { connection, access: Access::ReadWrite, .. } => Ok(connection),
        Connected { access, .. } => Err(access.problem().to_owned()),
    }
}

/// Creates the table. If it exists, does nothing, so that the role needs only the right to insert.
async fn migrate(connection: &mut PgConnection) -> Result<(), String> {
    let made: bool =
        sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL AND to_regclass('audit_events') IS NOT NULL")
            .bind(MIGRATIONS_TABLE)
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| error.to_string())?;
    if made {
        return Ok(());
    }
    let sql = include_str!("migrations/0001_audit_events.sql").into_sql_str();
    let first = Migration::new(1, Cow::Borrowed("audit_events"), MigrationType::Simple, sql, false);
    let mut migrator = Migrator::with_migrations(vec![first]);
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    // Takes an advisory lock and checks again: one of several replicas runs the migration.
    migrator.run_direct(None, connection, false).await.map_err(|error| error.to_string())
}

#[async_trait]
impl Sink for PostgresSink {
    async fn write(&mut self, records: &[Arc<AuditRecord>]) -> Result<(), SinkError> {
        let write = async {
            // The connection may have been closed since its last use. A retry is safe: see `INSERT`.
            let used = self.connection.is_some();
            match self.insert(records).await {
                Err(_) if used => self.insert(records).await,
                written => written,
            }
        };
        match tokio::time::timeout(TIMEOUT, write).await {
            Ok(written) => written,
            Err(_) => Err(SinkError(format!("no answer within {} s", TIMEOUT.as_secs()))),
        }
    }

    async fn finish(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = tokio::time::timeout(TIMEOUT, connection.close()).await;
        }
    }
}

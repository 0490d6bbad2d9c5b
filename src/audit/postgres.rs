//! Lines in a table of a PostgreSQL database, of the store's or of another.

use std::{borrow::Cow, sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{
    Connection as _, PgConnection, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

use super::{
    line::Line,
    sink::{AuditOpenError, Sink, SinkError},
};
use crate::database::{self, Access, Connected, DatabaseLocation};

/// How long a batch may take, a new connection included: a little less than a call waits for it.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long to wait for the table, which another replica may be making.
const MIGRATION: Duration = Duration::from_secs(60);

/// For the server itself, in milliseconds.
const SESSION: &str = "SET statement_timeout = 4000; SET idle_in_transaction_session_timeout = 10000";

/// Our own list, for the database may be the store's, which has one too.
const MIGRATIONS_TABLE: &str = "tokend_audit_migrations";

/// A line is told from others by its run and number: one that is written again, since nobody knew whether it was, is there
/// once.
const INSERT: &str = "INSERT INTO audit_events (instance, sequence, time, event)
    SELECT line.instance, line.sequence, to_timestamp(line.time), line.event::jsonb
    FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::text[]) AS line (instance, sequence, time, event)
    ON CONFLICT DO NOTHING";

/// The table `audit_events`.
#[derive(Debug)]
pub(super) struct PostgresSink {
    location: DatabaseLocation,
    /// None after a failure: the next batch makes another, to whichever server takes writes then.
    connection: Option<PgConnection>,
}

impl PostgresSink {
    /// Connects, and makes the table if there is none.
    pub(super) async fn open(location: DatabaseLocation) -> Result<Self, AuditOpenError> {
        location.warn_of_ignored();
        let failed = |problem: String| {
            let problem = format!("{location}: {problem}");
            AuditOpenError { setting: "audit_postgres", problem }
        };
        let prepare = async {
            let mut connection = connect(&location, "").await.map_err(|SinkError(problem)| problem)?;
            migrate(&mut connection).await?;
            // All is done; how the connection ends does not matter.
            let _ = connection.close().await;
            Ok(())
        };
        match tokio::time::timeout(MIGRATION, prepare).await {
            Ok(prepared) => prepared.map_err(failed)?,
            Err(_) => return Err(failed(format!("no answer within {} s", MIGRATION.as_secs()))),
        }
        Ok(Self { location, connection: None })
    }

    async fn insert(&mut self, lines: &[Arc<Line>]) -> Result<(), SinkError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.location, SESSION).await?,
        };
        let instances: Vec<&str> = lines.iter().map(|line| &*line.instance).collect();
        let sequences: Vec<i64> =
            lines.iter().map(|line| i64::try_from(line.sequence).unwrap_or(i64::MAX)).collect();
        let times: Vec<i64> = lines.iter().map(|line| line.time.seconds()).collect();
        let events: Vec<&str> = lines.iter().map(|line| line.json()).collect();
        let insert = sqlx::query(INSERT).bind(instances).bind(sequences).bind(times).bind(events);
        insert.execute(&mut connection).await?;
        self.connection = Some(connection);
        Ok(())
    }
}

/// Connects to a server that takes writes.
async fn connect(location: &DatabaseLocation, session: &'static str) -> Result<PgConnection, SinkError> {
    match database::connect(location, session, PATIENCE).await {
        Ok(Connected { connection, access: Access::ReadWrite, .. }) => Ok(connection),
        Ok(Connected { access, .. }) => Err(SinkError(access.problem().to_owned())),
        Err(error) => Err(SinkError(error.to_string())),
    }
}

/// Makes the table. Where it is, nothing is done: such a start needs no more than the right to insert.
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
    // Takes an advisory lock and looks again: of many replicas one makes it, the others find it done.
    migrator.run_direct(None, connection, false).await.map_err(|error| error.to_string())
}

#[async_trait]
impl Sink for PostgresSink {
    async fn write(&mut self, lines: &[Arc<Line>]) -> Result<(), SinkError> {
        let write = async {
            // A connection may have been lost since it was used. Nothing is there twice: see `INSERT`.
            let used = self.connection.is_some();
            match self.insert(lines).await {
                Err(_) if used => self.insert(lines).await,
                written => written,
            }
        };
        match tokio::time::timeout(PATIENCE, write).await {
            Ok(written) => written,
            Err(_) => Err(SinkError(format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    async fn finish(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = tokio::time::timeout(PATIENCE, connection.close()).await;
        }
    }
}

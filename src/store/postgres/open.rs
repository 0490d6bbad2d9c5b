//! Opening a PostgreSQL database.

use std::{sync::OnceLock, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::PostgresStore;
use crate::store::{
    Location, OpenError, ambiguous,
    schema::{Applied, MIGRATIONS_TABLE, Schema, Standing},
};

/// How long an action waits for a connection, a new one included.
const CONNECT: Duration = Duration::from_secs(5);
/// Few: requests are answered from memory, and a server has about 100 for all replicas and neighbours.
const CONNECTIONS: u32 = 8;
/// A connection that was idle for longer is tried before it is used: the server may have gone and come back.
const TRUSTED: Duration = Duration::from_secs(1);
/// How long to try a connection that comes back to the pool.
const RETURN: Duration = Duration::from_secs(2);

/// What each connection of the pool starts with. Milliseconds: a statement may take 5 s, waiting for locks included;
/// a transaction whose process stopped in the middle gives its lock free after 10 s. The guards are made for READ
/// COMMITTED, whatever the database's default is.
const SESSION: &str = "SET statement_timeout = 5000; SET idle_in_transaction_session_timeout = 10000; \
     SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED";
/// How long a start waits for another replica's migration.
const MIGRATION_SESSION: &str = "SET lock_timeout = 60000";

impl PostgresStore {
    /// The database at `url`.
    pub(in crate::store) async fn open(url: &str) -> Result<Self, OpenError> {
        let location = Location::Postgres(url.to_owned().into()).to_string();
        let unreachable = |problem: String| OpenError::Unreachable { location: location.clone(), problem };
        let options: PgConnectOptions =
            url.parse().map_err(|error: sqlx::Error| unreachable(error.to_string()))?;
        let options = options.disable_statement_logging();

        let connected = tokio::time::timeout(CONNECT, options.connect()).await;
        let mut connection = connected
            .map_err(|_| unreachable(format!("no answer within {} s", CONNECT.as_secs())))?
            .map_err(|error| unreachable(error.to_string()))?;
        // A connection of its own: after a failure it is closed, and with it goes the lock of the migrations.
        migrate(&mut connection, &unreachable).await?;
        let found: Result<Vec<String>, _> =
            sqlx::query_scalar(ambiguous::AMBIGUOUS_USERS).fetch_all(&mut connection).await;
        ambiguous::warn(&found.map_err(|error| unreachable(error.to_string()))?);
        // All is done; how the connection ends does not matter.
        let _ = connection.close().await;
        Ok(Self { pool: pool().connect_lazy_with(options.clone()), options, listener: OnceLock::new() })
    }
}

fn pool() -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(CONNECT)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(|_| ()) })
        })
        .before_acquire(|connection, about| {
            Box::pin(async move {
                if about.idle_for > TRUSTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        // The pool tries a returned connection without a limit of time: a dead network must not hold its place.
        .after_release(|connection, _| {
            Box::pin(async move {
                Ok(tokio::time::timeout(RETURN, connection.ping()).await.is_ok_and(|pong| pong.is_ok()))
            })
        })
}

async fn migrate(
    connection: &mut PgConnection,
    unreachable: &(impl Fn(String) -> OpenError + Sync),
) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| unreachable(error.to_string());
    let schema = Schema::postgres();
    let applied = applied(connection).await.map_err(failed)?;
    // Nothing to do means nothing done: such a start needs no right to make tables.
    if schema.standing(&applied)? == Standing::Current {
        return Ok(());
    }
    sqlx::raw_sql(MIGRATION_SESSION).execute(&mut *connection).await.map_err(failed)?;
    // Takes an advisory lock and looks again: of many replicas one applies, the others find it done.
    schema.apply(connection).await
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<Applied>, sqlx::Error> {
    let listed: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(MIGRATIONS_TABLE)
        .fetch_one(&mut *connection)
        .await?;
    if !listed {
        return Ok(Vec::new());
    }
    sqlx::query_as("SELECT version, checksum FROM tokend_migrations").fetch_all(connection).await
}

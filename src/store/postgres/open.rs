//! Opening a PostgreSQL database.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use sqlx::{Connection as _, PgConnection, postgres::PgPoolOptions};

use super::{PostgresStore, servers::Servers};
use crate::{
    database::{self, Access, Connected, DatabaseLocation},
    store::{
        OpenError, ambiguous,
        schema::{Applied, MIGRATIONS_TABLE, Schema, Standing},
    },
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
    /// The database at this place.
    pub(in crate::store) async fn open(location: &DatabaseLocation) -> Result<Self, OpenError> {
        let unreachable =
            |problem: String| OpenError::Unreachable { location: location.to_string(), problem };
        location.warn_of_ignored();
        let connected = database::connect(location, "", CONNECT).await;
        let Connected { mut connection, options, access } =
            connected.map_err(|error| unreachable(error.to_string()))?;
        if access != Access::ReadWrite && !location.admits_read_only() {
            let path = location.to_string();
            let problem = format!("{}; `allow_read_only_store` starts in spite of that", access.problem());
            return Err(OpenError::ReadOnly { path, problem });
        }
        // A connection of its own: after a failure it is closed, and with it goes the lock of the migrations.
        migrate(&mut connection, &unreachable).await?;
        let found: Result<Vec<String>, _> =
            sqlx::query_scalar(ambiguous::AMBIGUOUS_USERS).fetch_all(&mut connection).await;
        ambiguous::warn(&found.map_err(|error| unreachable(error.to_string()))?);
        // All is done; how the connection ends does not matter.
        let _ = connection.close().await;
        let servers = Arc::new(Servers::new(location.clone(), options.clone(), access));
        let pool = pool(&servers).connect_lazy_with(options);
        let watch = servers.watch(pool.clone());
        Ok(Self { pool, servers, watch, listener: OnceLock::new() })
    }
}

fn pool(servers: &Arc<Servers>) -> PgPoolOptions {
    let [started, acquired, released] = [(); 3].map(|()| Arc::clone(servers));
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(CONNECT)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let servers = Arc::clone(&started);
            Box::pin(async move {
                let access = database::start(connection, SESSION).await?;
                if servers.admits(access) {
                    Ok(())
                } else {
                    Err(sqlx::Error::Configuration(access.problem().into()))
                }
            })
        })
        .before_acquire(move |connection, about| {
            let servers = Arc::clone(&acquired);
            Box::pin(async move {
                let is_trusted = about.idle_for <= TRUSTED;
                Ok(servers.is_current(about.age)
                    && (is_trusted || servers.suffices(database::access(connection).await?)))
            })
        })
        // One that takes no writes is not kept: its server was demoted. Within a limit, for a dead network must not hold its place.
        .after_release(move |connection, about| {
            let servers = Arc::clone(&released);
            Box::pin(async move {
                let access = tokio::time::timeout(RETURN, database::access(connection));
                Ok(servers.is_current(about.age)
                    && matches!(access.await, Ok(Ok(access)) if servers.suffices(access)))
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

//! Opening a PostgreSQL database.

use std::{
    num::NonZeroU32,
    sync::{Arc, OnceLock},
    time::Duration,
};

use sqlx::{Connection as _, PgConnection, postgres::PgPoolOptions};

use super::{PostgresDatabase, servers::Servers};
use crate::{
    database::{self, Access, Connected, DatabaseLocation},
    store::{
        OpenError, OpenOptions,
        schema::{Applied, MIGRATIONS_TABLE, Schema, SchemaState},
    },
};

/// How long an action waits for a connection, including a new one.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is tested before it is used: the server may have restarted.
const UNTESTED: Duration = Duration::from_secs(1);
/// The timeout of the test of a connection that is released to the pool.
const RELEASE: Duration = Duration::from_secs(2);

/// The first statements of each connection of the pool. A statement may take 5 s, including waiting for locks; a transaction whose
/// process has stopped releases its locks after 10 s. The guards need READ COMMITTED, whatever the database's default is.
const SESSION: &str = "SET statement_timeout = 5000; SET idle_in_transaction_session_timeout = 10000; \
     SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED";
/// A start waits up to 60 s for another replica's migration.
const MIGRATION_SESSION: &str = "SET lock_timeout = 60000";

impl PostgresDatabase {
    /// Opens the database at `location`, and migrates it.
    pub(in crate::store) async fn open(
        location: &DatabaseLocation,
        opening: &OpenOptions,
    ) -> Result<Self, OpenError> {
        let unreachable =
            |problem: String| OpenError::Unreachable { location: location.to_string(), problem };
        location.warn_of_ignored();
        let connected = database::connect_at_start(location, CONNECT).await;
        let Connected { mut connection, options, access } =
            connected.map_err(|error| unreachable(error.to_string()))?;
        if access != Access::ReadWrite && !location.admits_read_only() {
            let path = location.to_string();
            let problem = format!("{}; set `allow_read_only_store` to start all the same", access.problem());
            return Err(OpenError::ReadOnly { path, problem });
        }
        // A connection of its own: it is closed after a failure, and releases the lock of the migrations.
        migrate(&mut connection, location, opening).await?;
        // The connection is not used again: an error on closing it has no effect.
        let _ = connection.close().await;
        let servers = Arc::new(Servers::new(location.clone(), options.clone(), access));
        let pool = pool(&servers, opening.connections).connect_lazy_with(options);
        let watch = servers.watch(pool.clone());
        Ok(Self { pool, servers, watch, listener: OnceLock::new() })
    }
}

fn pool(servers: &Arc<Servers>, connections: NonZeroU32) -> PgPoolOptions {
    let [started, acquired, released] = [(); 3].map(|()| Arc::clone(servers));
    PgPoolOptions::new()
        .max_connections(connections.get())
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
                let is_fresh = about.idle_for <= UNTESTED;
                Ok(servers.is_current(about.age)
                    && (is_fresh || servers.suffices(database::access(connection).await?)))
            })
        })
        // A connection that takes no writes is not kept: its server was demoted. The timeout frees the connection's permit when the
        // network is dead.
        .after_release(move |connection, about| {
            let servers = Arc::clone(&released);
            Box::pin(async move {
                let access = tokio::time::timeout(RELEASE, database::access(connection));
                Ok(servers.is_current(about.age)
                    && matches!(access.await, Ok(Ok(access)) if servers.suffices(access)))
            })
        })
}

async fn migrate(
    connection: &mut PgConnection,
    location: &DatabaseLocation,
    opening: &OpenOptions,
) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| OpenError::Unreachable {
        location: location.to_string(),
        problem: error.to_string(),
    };
    let schema = Schema::postgres();
    let applied = applied(connection).await.map_err(failed)?;
    // Without missing migrations, the start needs no permission to create tables.
    if schema.state(&applied)? == SchemaState::Current {
        return Ok(());
    }
    if applied.is_empty() && !opening.create {
        let location = location.to_string();
        return Err(OpenError::Missing { location, problem: "has no tables of tokend" });
    }
    if !opening.migrate {
        return Err(OpenError::Older);
    }
    sqlx::raw_sql(MIGRATION_SESSION).execute(&mut *connection).await.map_err(failed)?;
    // Takes an advisory lock and reads the list again: one replica applies the migrations, the others find them applied.
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

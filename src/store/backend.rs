//! The databases behind the store, and what differs between them: how an action gets its connection or transaction, its limits,
//! and how a change is announced.

use tokio::sync::watch;

use super::{
    Location, OpenError, OpenOptions, StoreError,
    postgres::{self, PostgresDatabase},
    sql::{Connection, Either, Transaction, values},
    sqlite::SqliteDatabase,
};

/// An open database.
#[derive(Debug)]
pub(super) enum Backend {
    Sqlite(SqliteDatabase),
    Postgres(PostgresDatabase),
}

impl Backend {
    pub(super) async fn open(location: &Location, options: &OpenOptions) -> Result<Self, OpenError> {
        Ok(match location {
            Location::Memory => Self::Sqlite(SqliteDatabase::in_memory().await?),
            Location::Sqlite(path) => Self::Sqlite(SqliteDatabase::open(path, options).await?),
            Location::Postgres(location) => Self::Postgres(PostgresDatabase::open(location, options).await?),
        })
    }

    /// A connection for one query.
    pub(super) async fn reader(&self) -> Result<Connection, StoreError> {
        Ok(match self {
            Self::Sqlite(database) => Either::Sqlite(database.readers.acquire().await?),
            Self::Postgres(database) => Either::Postgres(database.pool.acquire().await?),
        })
    }

    /// A connection for one statement that is guarded by its own `WHERE`.
    pub(super) async fn writer(&self) -> Result<Connection, StoreError> {
        Ok(match self {
            Self::Sqlite(database) => Either::Sqlite(database.writer.acquire().await?),
            Self::Postgres(database) => Either::Postgres(database.pool.acquire().await?),
        })
    }

    /// Begins a transaction whose queries all see one state of the database.
    pub(super) async fn snapshot(&self) -> Result<Transaction, StoreError> {
        const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        Ok(match self {
            Self::Sqlite(database) => Either::Sqlite(database.readers.begin().await?),
            Self::Postgres(database) => Either::Postgres(database.pool.begin_with(SNAPSHOT).await?),
        })
    }

    /// Begins a transaction that writes.
    pub(super) async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(match self {
            Self::Sqlite(database) => Either::Sqlite(database.begin().await?),
            Self::Postgres(database) => Either::Postgres(database.pool.begin().await?),
        })
    }

    /// Commits a transaction that counted a change, and notifies the receivers of [`Self::changes`].
    pub(super) async fn commit_change(&self, mut transaction: Transaction) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(database) => {
                transaction.end(true).await?;
                database.changed.send_modify(|count| *count = count.wrapping_add(1));
            }
            Self::Postgres(_) => {
                // PostgreSQL sends the notification when the transaction commits.
                transaction.execute("SELECT pg_notify($1, '')", values![postgres::CHANNEL]).await?;
                transaction.end(true).await?;
            }
        }
        Ok(())
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        match self {
            Self::Sqlite(database) => database.changed.subscribe(),
            Self::Postgres(database) => database.changes(),
        }
    }

    /// Executes an action within the time limit of the database.
    pub(super) async fn limit<T>(
        &self,
        action: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match self {
            // A statement waits for another writer at most as long as SQLite's busy timeout.
            Self::Sqlite(_) => action.await,
            Self::Postgres(database) => database.limit(action).await,
        }
    }

    pub(super) async fn write_problem(&self) -> Result<Option<String>, StoreError> {
        match self {
            Self::Sqlite(database) => database.write_problem().await,
            Self::Postgres(database) => database.write_problem().await,
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(database) => database.close().await,
            Self::Postgres(database) => database.close().await,
        }
    }
}

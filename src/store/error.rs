//! Failures of the store.

use std::fmt;

use crate::database;

/// A failed store action. Its text is for the log: it may name tables, files and hosts.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or did not answer. Whether anything was changed is unknown.
    #[error("the store is unavailable: {0}")]
    Unavailable(StoreFailure),
    /// There is no such record.
    #[error("not found")]
    NotFound,
    /// There is a record with this name already.
    #[error("already exists")]
    AlreadyExists,
    /// A row cannot be read.
    #[error("{table}.{column} of row `{row}` is invalid: {problem}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl StoreError {
    /// An invalid value. `problem` must show neither keys nor digests.
    pub(super) fn corrupt(
        table: &'static str,
        column: &'static str,
        row: &str,
        problem: impl fmt::Display,
    ) -> Self {
        Self::Corrupt { table, column, row: row.to_owned(), problem: problem.to_string() }
    }
}

impl From<sqlx::Error> for StoreError {
    /// A violated uniqueness is a result. Everything else (no connection, a timeout, a server that shuts down, a full disk) makes
    /// the store unavailable; the text is the driver's, which holds no values.
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) if error.is_unique_violation() => Self::AlreadyExists,
            sqlx::Error::ColumnDecode { index, source } => {
                Self::Unavailable(format!("column {index} of a result has the wrong type: {source}").into())
            }
            error => Self::Unavailable(StoreFailure {
                is_connection_lost: database::is_lost(&error),
                is_pool_timeout: matches!(error, sqlx::Error::PoolTimedOut),
                problem: error.to_string(),
            }),
        }
    }
}

/// Why a store is unavailable.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct StoreFailure {
    problem: String,
    /// Whether the connection must not be used again.
    pub(super) is_connection_lost: bool,
    /// Whether the pool had no connection.
    pub(super) is_pool_timeout: bool,
}

impl<T: Into<String>> From<T> for StoreFailure {
    fn from(problem: T) -> Self {
        Self { problem: problem.into(), is_connection_lost: false, is_pool_timeout: false }
    }
}

/// Why a store cannot be opened. Its text is for the operator at start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The location has an unknown form.
    #[error("{0}")]
    Location(String),
    /// The database was written by a newer tokend.
    #[error("the database has schema version {found}, this tokend knows up to {known}: run a newer tokend")]
    Newer {
        /// The schema version of the database.
        found: i64,
        /// The newest schema version of this binary.
        known: i64,
    },
    /// There is no database of tokend.
    #[error(
        "{location} {problem}; correct the setting, or create a new store with --create-store (create_store = true) or `tokend init`"
    )]
    Missing {
        /// Where, without a password.
        location: String,
        /// What is there instead.
        problem: &'static str,
    },
    /// The file is a backup.
    #[error(
        "{path} is a backup, which lacks later revocations: put it in place with `tokend restore {path}`, which rejects earlier tokens"
    )]
    Backup {
        /// The file.
        path: String,
    },
    /// Another process has the file open.
    #[error("{path} is in use by another process: stop the server first")]
    InUse {
        /// The file.
        path: String,
    },
    /// The database was written by an older tokend, and must not be migrated now.
    #[error(
        "the database has the schema of an earlier release: `tokend serve` migrates it at its next start"
    )]
    Older,
    /// The file is no database, or a damaged one.
    #[error("{path} is not a sound SQLite database and was not changed: {problem}")]
    Damaged {
        /// The file.
        path: String,
        /// SQLite's text.
        problem: String,
    },
    /// The file or its folder cannot be written.
    #[error("{path} cannot be written: {problem}")]
    ReadOnly {
        /// The file or folder.
        path: String,
        /// The system's text.
        problem: String,
    },
    /// A migration failed; it was rolled back.
    #[error("the database could not be migrated to schema version {version}: {problem}")]
    Migration {
        /// The migration's version.
        version: i64,
        /// The database's text.
        problem: String,
    },
    /// The database cannot be reached.
    #[error("the store at {location} cannot be reached: {problem}")]
    Unreachable {
        /// Where, without a password.
        location: String,
        /// The system's text.
        problem: String,
    },
}

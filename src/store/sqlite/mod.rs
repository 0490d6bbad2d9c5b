//! A SQLite database: a file, or this process' memory.
//!
//! Invariant: there is one writing connection, and each write transaction begins with `BEGIN IMMEDIATE`: nothing that it has read
//! changes before it writes, not even by another process on the same file.

pub mod backup;
mod file;
mod open;

use sqlx::{Sqlite, SqlitePool, Transaction};
use tokio::sync::watch;

use self::file::DatabaseFile;
use super::StoreError;

/// An open SQLite database.
#[derive(Debug)]
pub(super) struct SqliteDatabase {
    /// One connection.
    pub(super) writer: SqlitePool,
    /// Reading connections; in memory, the writer.
    pub(super) readers: SqlitePool,
    /// `None` in memory.
    file: Option<DatabaseFile>,
    /// Changes with each change that this process makes. Changes by another process are found by polling.
    pub(super) changed: watch::Sender<u64>,
}

impl SqliteDatabase {
    /// Begins a write transaction.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        match self.writer.begin_with("BEGIN IMMEDIATE").await {
            // SQLite has ended a transaction by itself, as it does when the disk is full. sqlx takes the connection to be in that
            // transaction still, so that it must be replaced; but a database in memory would be lost with it.
            Err(sqlx::Error::InvalidSavePointStatement) if self.file.is_some() => {
                self.writer.acquire().await?.close().await?;
                Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            begun => Ok(begun?),
        }
    }

    /// Why the database takes no writes now.
    pub(super) async fn write_problem(&self) -> Result<Option<String>, StoreError> {
        // The statement below writes nothing, so that only this check finds a file system that became read-only.
        if let Some(Err(problem)) = self.file.as_ref().map(DatabaseFile::check_access) {
            return Ok(Some(problem.to_string()));
        }
        let mut transaction = self.begin().await?;
        match sqlx::raw_sql(open::WRITE_NOTHING).execute(&mut *transaction).await {
            Err(error) if file::is_read_only(&error) => Ok(Some(error.to_string())),
            written => {
                written?;
                transaction.rollback().await?;
                Ok(None)
            }
        }
    }

    pub(super) async fn close(&self) {
        // The last connection to close removes the write-ahead log, and must be able to write.
        self.readers.close().await;
        self.writer.close().await;
    }
}

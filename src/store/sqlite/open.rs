//! Opening a SQLite database.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use tokio::sync::watch;

use super::{
    SqliteDatabase, backup,
    file::{DatabaseFile, is_busy, needs_rollback, open_error},
};
use crate::store::{
    Location, OpenError, OpenOptions,
    schema::{Applied, MIGRATIONS_TABLE, Schema, SchemaState},
};

/// How long a write waits for another write, of any process.
const BUSY: Duration = Duration::from_secs(5);
/// The pause between attempts where SQLite does not wait by itself.
const PAUSE: Duration = Duration::from_millis(20);
/// Few: requests are served from memory.
const READERS: u32 = 4;
/// The application id that the first migration writes into the file's header.
pub(super) const APPLICATION_ID: i64 = 1_953_459_044;
/// The application id of a backup, which no server opens: its revocations are out of date.
pub(super) const BACKUP_ID: i64 = APPLICATION_ID + 1;
/// Sets the application id after a restore.
const MARK: &str = "PRAGMA application_id = 1953459044";

/// A statement that needs a writable database and changes nothing.
pub(super) const WRITE_NOTHING: &str = "UPDATE change_sequence SET value = value";

impl SqliteDatabase {
    /// Creates a database in this process' memory.
    pub(in crate::store) async fn in_memory() -> Result<Self, OpenError> {
        let options = options().in_memory(true);
        // The data lives as long as the one connection, which is neither replaced nor closed when idle.
        let writer =
            one_connection(options).await.map_err(|error| open_error(Path::new("memory"), &error))?;
        migrate(&writer, Path::new("memory"), true).await?;
        Ok(Self { readers: writer.clone(), writer, file: None, changed: watch::Sender::new(0) })
    }

    /// Opens the database in the file at `path`, or creates it if the options allow that.
    pub(in crate::store) async fn open(path: &Path, opening: &OpenOptions) -> Result<Self, OpenError> {
        let file = DatabaseFile::find(path)?;
        let path = &file.path().to_owned();
        let options = options().filename(path);
        let is_there = file.has_database()? && check(path, &options).await?;
        if !is_there {
            if !opening.create {
                let location = Location::Sqlite(path.clone()).to_string();
                let problem = if path.exists() { "is an empty file" } else { "does not exist" };
                return Err(OpenError::Missing { location, problem });
            }
            file.create()?;
        }
        let writing =
            options.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let writer = open_writer(&writing).await.map_err(|error| open_error(path, &error))?;
        if let Err(error) = migrate(&writer, path, opening.migrate).await {
            // SQLite's files beside the database would otherwise remain.
            writer.close().await;
            return Err(error);
        }
        let readers = SqlitePoolOptions::new().max_connections(READERS).acquire_timeout(BUSY);
        let readers = readers.connect_lazy_with(options.read_only(true));
        Ok(Self { writer, readers, file: Some(file), changed: watch::Sender::new(0) })
    }
}

pub(super) fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .create_if_missing(false)
        .foreign_keys(true)
        // Deleted content is overwritten: a retired key's sealed private half does not stay in a free page.
        .pragma("secure_delete", "ON")
        .busy_timeout(BUSY)
        // Rows are sent from the thread that reads them: with a small buffer, sender and receiver would wait for each other.
        .row_buffer_size(1024)
        .disable_statement_logging()
}

async fn one_connection(options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .acquire_timeout(BUSY)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options)
        .await
}

/// Checks a file through a read-only connection: a file that is rejected is not changed. Whether it holds a store: a file without
/// tables does not.
pub(super) async fn check(path: &Path, options: &SqliteConnectOptions) -> Result<bool, OpenError> {
    let read_only = options.clone().read_only(true);
    let mut found = inspect(&read_only).await;
    if found.as_ref().is_err_and(needs_rollback) {
        // A process that was killed in a transaction left a journal, which only a writer can roll back.
        let rolled_back = inspect(options).await;
        rolled_back.map_err(|error| open_error(path, &error))?;
        found = inspect(&read_only).await;
    }
    let damaged = |problem| Err(OpenError::Damaged { path: path.display().to_string(), problem });
    match found.map_err(|error| open_error(path, &error))? {
        Content::Damaged(problem) => damaged(format!("{problem}{}", stray_log(path))),
        Content::OtherProgram => damaged("it is the database of another program".to_owned()),
        Content::Backup => Err(OpenError::Backup { path: path.display().to_string() }),
        Content::Empty => Ok(false),
        Content::Tokend(applied) => Schema::sqlite().state(&applied).map(|_| true),
    }
}

/// A hint for a damaged database with a log of changes, which SQLite reads as a part of it.
fn stray_log(path: &Path) -> &'static str {
    let log = backup::strays(path).iter().any(|file| {
        file.to_string_lossy().ends_with("-wal") && file.metadata().is_ok_and(|found| found.len() > 0)
    });
    if log {
        "; the file `-wal` beside it may belong to a former database: if you restored this one, move that file away"
    } else {
        ""
    }
}

/// The content of a file.
enum Content {
    Damaged(String),
    OtherProgram,
    Empty,
    Backup,
    Tokend(Vec<Applied>),
}

async fn inspect(options: &SqliteConnectOptions) -> Result<Content, sqlx::Error> {
    let mut timeout = BusyTimeout::default();
    loop {
        match inspect_once(options).await {
            Ok(found) => return Ok(found),
            Err(error) => timeout.pause_after(error).await?,
        }
    }
}

async fn inspect_once(options: &SqliteConnectOptions) -> Result<Content, sqlx::Error> {
    let mut connection = options.connect().await?;
    // One transaction, and so one state of the database: another process may be migrating it.
    let mut transaction = connection.begin().await?;
    let found = read_state(&mut transaction).await?;
    transaction.rollback().await?;
    connection.close().await?;
    Ok(found)
}

async fn open_writer(options: &SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let mut timeout = BusyTimeout::default();
    loop {
        match one_connection(options.clone()).await {
            Ok(writer) => return Ok(writer),
            Err(error) => timeout.pause_after(error).await?,
        }
    }
}

/// Waits while another process locks the whole file: it converts the journal to a write-ahead log, or recovers the log. SQLite's
/// busy timeout does not cover these.
#[derive(Default)]
struct BusyTimeout {
    waited: Duration,
}

impl BusyTimeout {
    /// Pauses after [`is_busy`]. Returns any other error, and the error after the timeout.
    async fn pause_after(&mut self, error: sqlx::Error) -> Result<(), sqlx::Error> {
        if self.waited >= BUSY || !is_busy(&error) {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
        self.waited += PAUSE;
        Ok(())
    }
}

async fn read_state(connection: &mut SqliteConnection) -> Result<Content, sqlx::Error> {
    let problem: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?;
    if problem != "ok" {
        // On one line, and without SQLite's heading, which names the database `main`.
        let lines: Vec<&str> = problem.lines().filter(|line| !line.starts_with("***")).collect();
        return Ok(Content::Damaged(lines.join("; ")));
    }
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await?;
    if id == APPLICATION_ID {
        return applied(connection).await.map(Content::Tokend);
    }
    if id == BACKUP_ID {
        return Ok(Content::Backup);
    }
    if id == 0 {
        // A dump by `sqlite3` has no application_id: a database restored from one is recognized by its first migration.
        let applied = applied(connection).await?;
        if Schema::sqlite().recognizes(&applied) {
            return Ok(Content::Tokend(applied));
        }
    }
    let objects: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(connection).await?;
    // A start that was killed before its first migration leaves an empty database.
    Ok(if objects == 0 && id == 0 { Content::Empty } else { Content::OtherProgram })
}

async fn applied(connection: &mut SqliteConnection) -> Result<Vec<Applied>, sqlx::Error> {
    let listed: Option<i64> = sqlx::query_scalar("SELECT 1 FROM sqlite_schema WHERE name = ?1")
        .bind(MIGRATIONS_TABLE)
        .fetch_optional(&mut *connection)
        .await?;
    if listed.is_none() {
        return Ok(Vec::new());
    }
    sqlx::query_as("SELECT version, checksum FROM tokend_migrations").fetch_all(connection).await
}

/// Applies the missing migrations, all or none. The write lock excludes other processes. [`WRITE_NOTHING`] proves that the file can
/// be written even if no migration is missing: `BEGIN IMMEDIATE` succeeds on a file that is open for reading only.
async fn migrate(writer: &SqlitePool, path: &Path, may_migrate: bool) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| open_error(path, &error);
    let schema = Schema::sqlite();
    let mut write = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let applied = applied(&mut write).await.map_err(failed)?;
    if schema.state(&applied)? == SchemaState::Outdated {
        if !may_migrate {
            return Err(OpenError::Older);
        }
        schema.apply(&mut *write).await?;
    }
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *write).await.map_err(failed)?;
    if id != APPLICATION_ID {
        sqlx::raw_sql(MARK).execute(&mut *write).await.map_err(failed)?;
    }
    sqlx::raw_sql(WRITE_NOTHING).execute(&mut *write).await.map_err(failed)?;
    write.commit().await.map_err(failed)
}

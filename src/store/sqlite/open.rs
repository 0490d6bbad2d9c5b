//! Opening a SQLite database.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use tokio::sync::watch;

use super::{
    SqliteStore,
    file::{DatabaseFile, is_busy, needs_rollback, open_error},
};
use crate::store::{
    OpenError, ambiguous,
    schema::{Applied, MIGRATIONS_TABLE, Schema, Standing},
};

/// How long a write waits for another one, of this process or another.
const BUSY: Duration = Duration::from_secs(5);
/// How long is waited before another attempt, where SQLite does not wait by itself.
const PAUSE: Duration = Duration::from_millis(20);
/// Reads of the store are rare: requests are answered from memory.
const READERS: u32 = 4;
/// What the first migration writes into the file's header.
const APPLICATION_ID: i64 = 1_953_459_044;
/// Sets it again after a restore.
const MARK: &str = "PRAGMA application_id = 1953459044";

impl SqliteStore {
    /// A fresh database in this process' memory.
    pub(in crate::store) async fn in_memory() -> Result<Self, OpenError> {
        let options = options().in_memory(true);
        // The data lives as long as the one connection: it is neither replaced nor closed for being idle.
        let writer =
            one_connection(options).await.map_err(|error| open_error(Path::new("memory"), &error))?;
        migrate(&writer, Path::new("memory")).await?;
        Ok(Self { readers: writer.clone(), writer, in_memory: true, changed: watch::Sender::new(0) })
    }

    /// The database in the file at `path`, made if there is none.
    pub(in crate::store) async fn open(path: &Path) -> Result<Self, OpenError> {
        let file = DatabaseFile::find(path)?;
        let path = file.path();
        let options = options().filename(path);
        if file.has_database()? {
            check(path, &options).await?;
        } else {
            file.create()?;
        }
        let writing =
            options.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let writer = open_writer(&writing).await.map_err(|error| open_error(path, &error))?;
        migrate(&writer, path).await?;
        warn_of_ambiguous(&writer, path).await?;
        let readers = SqlitePoolOptions::new().max_connections(READERS).acquire_timeout(BUSY);
        let readers = readers.connect_lazy_with(options.read_only(true));
        Ok(Self { writer, readers, in_memory: false, changed: watch::Sender::new(0) })
    }
}

fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .create_if_missing(false)
        .foreign_keys(true)
        // What is erased is overwritten: a retired key's sealed private half does not stay in a free page.
        .pragma("secure_delete", "ON")
        .busy_timeout(BUSY)
        // Rows on their way from the thread that reads them: few would have the two wait for each other all the time.
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

/// Looks at a file through a connection that cannot write: one that is refused stays as it was, byte for byte.
async fn check(path: &Path, options: &SqliteConnectOptions) -> Result<(), OpenError> {
    let looking = options.clone().read_only(true);
    let mut found = look(&looking).await;
    if found.as_ref().is_err_and(needs_rollback) {
        // A program that was killed in a transaction left its journal: only a writer can roll it back.
        let rolled_back = look(options).await;
        rolled_back.map_err(|error| open_error(path, &error))?;
        found = look(&looking).await;
    }
    let damaged = |problem| Err(OpenError::Damaged { path: path.display().to_string(), problem });
    match found.map_err(|error| open_error(path, &error))? {
        Found::Unsound(problem) => damaged(problem),
        Found::Foreign => damaged("it is another program's database".to_owned()),
        Found::Empty => Ok(()),
        Found::Ours(applied) => Schema::sqlite().standing(&applied).map(|_| ()),
    }
}

/// What is in a file.
enum Found {
    Unsound(String),
    Foreign,
    Empty,
    Ours(Vec<Applied>),
}

async fn look(options: &SqliteConnectOptions) -> Result<Found, sqlx::Error> {
    let mut patience = Patience::default();
    loop {
        match look_once(options).await {
            Ok(found) => return Ok(found),
            Err(error) => patience.wait_after(error).await?,
        }
    }
}

async fn look_once(options: &SqliteConnectOptions) -> Result<Found, sqlx::Error> {
    let mut connection = options.connect().await?;
    // One transaction, and so one state of the database: another process may be migrating it.
    let mut transaction = connection.begin().await?;
    let found = look_through(&mut transaction).await?;
    transaction.rollback().await?;
    connection.close().await?;
    Ok(found)
}

async fn open_writer(options: &SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let mut patience = Patience::default();
    loop {
        match one_connection(options.clone()).await {
            Ok(writer) => return Ok(writer),
            Err(error) => patience.wait_after(error).await?,
        }
    }
}

/// Waits while another process has the whole file. Turning its journal into a write-ahead log, and recovering one, are
/// what SQLite's own busy timeout does not wait for.
#[derive(Default)]
struct Patience {
    waited: Duration,
}

impl Patience {
    /// Waits a moment; or answers `error` when it is another one, or when patience is at its end.
    async fn wait_after(&mut self, error: sqlx::Error) -> Result<(), sqlx::Error> {
        if self.waited >= BUSY || !is_busy(&error) {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
        self.waited += PAUSE;
        Ok(())
    }
}

async fn look_through(connection: &mut SqliteConnection) -> Result<Found, sqlx::Error> {
    let problem: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?;
    if problem != "ok" {
        // In one line, and without the heading that names SQLite's word for the one database there is.
        let lines: Vec<&str> = problem.lines().filter(|line| !line.starts_with("***")).collect();
        return Ok(Found::Unsound(lines.join("; ")));
    }
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await?;
    if id == APPLICATION_ID {
        return applied(connection).await.map(Found::Ours);
    }
    if id == 0 {
        // The dump of `sqlite3` leaves the application_id out: a database restored from one is known by its first migration.
        let applied = applied(connection).await?;
        if Schema::sqlite().recognizes(&applied) {
            return Ok(Found::Ours(applied));
        }
    }
    let things: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(connection).await?;
    // A start that was killed before its first migration leaves a database with nothing in it.
    Ok(if things == 0 && id == 0 { Found::Empty } else { Found::Foreign })
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

/// Applies what is missing, all or nothing. The write lock keeps out other processes, and taking it proves that the
/// file can be written even when nothing is missing.
/// Warns of users whose tokens could be taken for those of others.
async fn warn_of_ambiguous(writer: &SqlitePool, path: &Path) -> Result<(), OpenError> {
    let found: Result<Vec<String>, _> =
        sqlx::query_scalar(ambiguous::AMBIGUOUS_USERS).fetch_all(writer).await;
    ambiguous::warn(&found.map_err(|error| open_error(path, &error))?);
    Ok(())
}

async fn migrate(writer: &SqlitePool, path: &Path) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| open_error(path, &error);
    let schema = Schema::sqlite();
    let mut write = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let applied = applied(&mut write).await.map_err(failed)?;
    if schema.standing(&applied)? == Standing::Behind {
        schema.apply(&mut *write).await?;
    }
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *write).await.map_err(failed)?;
    if id != APPLICATION_ID {
        sqlx::raw_sql(MARK).execute(&mut *write).await.map_err(failed)?;
    }
    write.commit().await.map_err(failed)
}

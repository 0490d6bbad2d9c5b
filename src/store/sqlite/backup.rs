//! Backups of a SQLite database: a copy while servers use it, and a copy that takes its place.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use super::{
    file::{DatabaseFile, is_busy, open_error},
    open::{APPLICATION_ID, BACKUP_ID, check, options},
};
use crate::store::{Location, OpenError};

/// The files that SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Copies the database at `path` into the new file `to`, also while servers use it. Only its owner can read the copy. It is marked, so
/// that no server opens it.
///
/// # Errors
/// See [`OpenError`]; nothing is left behind.
pub async fn create(path: &Path, to: &Path) -> Result<(), OpenError> {
    let file = DatabaseFile::find(path)?;
    if !file.has_database()? || !check(file.path(), &options().filename(file.path())).await? {
        let location = Location::Sqlite(file.path().to_owned()).to_string();
        return Err(OpenError::Missing { location, problem: "does not exist or is empty" });
    }
    // SQLite would create it for everybody to read. It accepts an empty file.
    create_private(to).map_err(|error| not_written(to, &error))?;
    let copied = copy_into(file.path(), to).await;
    if copied.is_err() {
        // The file is incomplete: an error on removing it changes nothing about that.
        let _ = fs::remove_file(to);
    }
    copied
}

async fn copy_into(path: &Path, to: &Path) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| open_error(path, &error);
    let mut connection = options().filename(path).read_only(true).connect().await.map_err(failed)?;
    let vacuum = sqlx::query("VACUUM INTO ?1").bind(to.to_string_lossy().into_owned());
    vacuum.execute(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    mark(to, BACKUP_ID).await?;
    sync(to).map_err(|error| not_written(to, &error))
}

/// Sets the application id.
async fn mark(path: &Path, id: i64) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| open_error(path, &error);
    let mut connection = options().filename(path).connect().await.map_err(failed)?;
    let sql = format!("PRAGMA application_id = {id}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)
}

/// Copies the backup `from` to the new file `to`, where it can be opened, checked and changed before [`put`].
///
/// # Errors
/// See [`OpenError`].
pub async fn unpack(from: &Path, to: &Path) -> Result<(), OpenError> {
    let backup = DatabaseFile::find_to_read(from)?;
    if !backup.has_database()? {
        let location = Location::Sqlite(from.to_owned()).to_string();
        return Err(OpenError::Missing { location, problem: "does not exist or is empty" });
    }
    if let Some(beside) =
        beside(from).into_iter().find(|file| fs::metadata(file).is_ok_and(|found| found.len() > 0))
    {
        let problem = format!(
            "{} belongs to it: use a backup of one file, such as `tokend backup` makes",
            beside.display()
        );
        return Err(OpenError::Damaged { path: from.display().to_string(), problem });
    }
    let mut source = File::open(from).map_err(|error| not_written(from, &error))?;
    create_private(to)
        .and_then(|mut file| io::copy(&mut source, &mut file))
        .map_err(|error| not_written(to, &error))?;
    let mut connection = options().filename(to).connect().await.map_err(|error| open_error(from, &error))?;
    let id: Result<i64, _> = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await;
    let id = id.map_err(|error| open_error(from, &error))?;
    connection.close().await.map_err(|error| open_error(from, &error))?;
    // A copy that sqlite3 made is unmarked.
    if id == BACKUP_ID { mark(to, APPLICATION_ID).await } else { Ok(()) }
}

/// Moves the database at `path` and the files beside it to names with `suffix`, which are returned.
///
/// # Errors
/// When a server has it open, or a file cannot be moved.
pub async fn move_away(path: &Path, suffix: &str) -> Result<Vec<PathBuf>, OpenError> {
    if path.exists() {
        leave_wal(path).await?;
    }
    let mut moved = Vec::new();
    for file in std::iter::once(path.to_owned()).chain(beside(path)).filter(|file| file.exists()) {
        let mut name = file.clone().into_os_string();
        name.push(suffix);
        fs::rename(&file, &name).map_err(|error| not_written(&file, &error))?;
        moved.push(name.into());
    }
    Ok(moved)
}

/// The files `-wal`, `-shm` and `-journal` beside `path`. Without their database they are of no use, and would damage another one.
pub fn strays(path: &Path) -> Vec<PathBuf> {
    beside(path).into_iter().filter(|file| file.exists()).collect()
}

/// Puts the file `from` in place of `path`, in the same folder, durably.
///
/// # Errors
/// When the file system refuses it.
pub fn put(from: &Path, path: &Path) -> Result<(), OpenError> {
    sync(from)
        .and_then(|()| fs::rename(from, path))
        .and_then(|()| sync(path.parent().unwrap_or(path)))
        .map_err(|error| not_written(path, &error))
}

/// Writes the log of changes into the file. Only the last connection can do that: it fails while a server has the database open.
async fn leave_wal(path: &Path) -> Result<(), OpenError> {
    let options: SqliteConnectOptions = options().filename(path).busy_timeout(Duration::ZERO);
    let left = async {
        let mut connection = options.connect().await?;
        sqlx::raw_sql("PRAGMA journal_mode = DELETE").execute(&mut connection).await?;
        connection.close().await
    };
    match left.await {
        Err(error) if is_busy(&error) => Err(OpenError::InUse { path: path.display().to_string() }),
        // A damaged database is kept as it is.
        _ => Ok(()),
    }
}

/// Creates a file that only its owner can read.
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn beside(path: &Path) -> Vec<PathBuf> {
    let name = |suffix: &&str| {
        let mut name = path.to_owned().into_os_string();
        name.push(suffix);
        name.into()
    };
    BESIDE.iter().map(name).collect()
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn not_written(path: &Path, error: &io::Error) -> OpenError {
    OpenError::ReadOnly { path: path.display().to_string(), problem: error.to_string() }
}

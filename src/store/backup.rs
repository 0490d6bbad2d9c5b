//! Backups of a store in a SQLite file. PostgreSQL has programs of its own.

use std::path::{Path, PathBuf};

use super::{OpenError, sqlite::backup};

/// Copies the database at `path` into the new file `to`, also while servers use it. Only its owner can read the copy. It is marked, so
/// that no server opens it.
///
/// # Errors
/// See [`OpenError`]; nothing is left behind.
pub async fn create(path: &Path, to: &Path) -> Result<(), OpenError> {
    backup::back_up(path, to).await
}

/// Copies a backup to `to`, where it can be opened, checked and changed before [`put`].
///
/// # Errors
/// See [`OpenError`].
pub async fn unpack(from: &Path, to: &Path) -> Result<(), OpenError> {
    backup::unpack(from, to).await
}

/// The files `-wal`, `-shm` and `-journal` beside `path`. Without their database they are of no use, and would damage another one.
pub fn strays(path: &Path) -> Vec<PathBuf> {
    backup::strays(path)
}

/// Moves the database at `path` and the files beside it to names with `suffix`, which are returned.
///
/// # Errors
/// When a server has it open, or a file cannot be moved.
pub async fn move_away(path: &Path, suffix: &str) -> Result<Vec<PathBuf>, OpenError> {
    backup::move_away(path, suffix).await
}

/// Puts the file `from` in place of `path`, in the same folder, durably.
///
/// # Errors
/// When the file system refuses it.
pub fn put(from: &Path, path: &Path) -> Result<(), OpenError> {
    backup::put(from, path)
}

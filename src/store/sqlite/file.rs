//! The file of a SQLite database: checks of its permissions and form, its creation, and the meaning of SQLite's result codes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, AtFlags, CWD, accessat},
    io::Errno,
    process::{getegid, geteuid},
};

use crate::store::OpenError;

/// How every SQLite database begins (<https://www.sqlite.org/fileformat2.html>, section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The least length of a database in bytes: one page of the smallest size.
const SMALLEST_PAGE: u64 = 512;

/// The file of a database, in an existing directory that can be written.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    /// Absolute: SQLite would read a relative path such as `file:x` as a URI.
    path: PathBuf,
    length: u64,
}

impl DatabaseFile {
    /// Finds the file at `path`, which may not exist yet. The permission bits count for root, too.
    pub(super) fn find(path: &Path) -> Result<Self, OpenError> {
        let path = std::path::absolute(path).map_err(|error| refused(path, &error))?;
        let folder = path.parent().unwrap_or(&path);
        match fs::metadata(folder) {
            Ok(found) if !found.is_dir() => return Err(read_only(folder, "it is not a folder")),
            Ok(found) if found.permissions().readonly() => {
                return Err(read_only(
                    folder,
                    "the folder is read-only; SQLite keeps files beside the database",
                ));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(read_only(folder, "the folder does not exist; create it first"));
            }
            Err(error) => return Err(refused(folder, &error)),
        }
        let length = match fs::metadata(&path) {
            Ok(found) if !found.is_file() => return Err(read_only(&path, "it is not a file")),
            Ok(found) if found.permissions().readonly() => {
                return Err(read_only(&path, "the file is read-only"));
            }
            Ok(found) => found.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(refused(&path, &error)),
        };
        let file = Self { path, length };
        file.check_access()?;
        Ok(file)
    }

    /// Finds a file that is only read.
    pub(super) fn find_to_read(path: &Path) -> Result<Self, OpenError> {
        let path = std::path::absolute(path).map_err(|error| refused(path, &error))?;
        let length = match fs::metadata(&path) {
            Ok(found) if !found.is_file() => return Err(read_only(&path, "it is not a file")),
            Ok(found) => found.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(refused(&path, &error)),
        };
        Ok(Self { path, length })
    }

    /// Whether this process may write the folder, the database and the files beside it: SQLite opens a file that it may only read
    /// without a word.
    pub(super) fn check_access(&self) -> Result<(), OpenError> {
        let folder = self.path.parent().unwrap_or(&self.path);
        let files = ["", "-wal", "-shm", "-journal"].map(|suffix| self.beside(suffix));
        let existing = files.into_iter().filter(|file| file.exists());
        let wanted = Access::READ_OK | Access::WRITE_OK;
        for path in std::iter::once(folder.to_owned()).chain(existing) {
            match accessat(CWD, &path, wanted, AtFlags::EACCESS) {
                Ok(()) => {}
                // Deleted meanwhile: another process has closed the database.
                Err(Errno::NOENT) if path != folder => {}
                Err(error) => return Err(refused(&path, &error.into())),
            }
        }
        Ok(())
    }

    /// The file's absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file holds a database; `false` if it is empty or missing.
    ///
    /// # Errors
    /// When it holds anything else. SQLite takes a file that is shorter than its header for an empty database, and would overwrite
    /// it.
    pub(super) fn has_database(&self) -> Result<bool, OpenError> {
        if self.length == 0 {
            return Ok(false);
        }
        let damaged = |problem: &str| {
            Err(OpenError::Damaged { path: self.path.display().to_string(), problem: problem.to_owned() })
        };
        let (mut magic, mut page) = ([0; MAGIC.len()], [0; 2]);
        let mut file = File::open(&self.path).map_err(|error| refused(&self.path, &error))?;
        let read = file.read_exact(&mut magic).and_then(|()| file.read_exact(&mut page));
        if self.length < SMALLEST_PAGE || read.is_err() || magic != *MAGIC {
            return damaged("it does not begin like one");
        }
        // SQLite would fill the rest of the last page with zeros. SQLite repairs its own incomplete writes from the log or journal beside
        // the file; without either, the file was truncated by another program.
        let whole_pages = match u16::from_be_bytes(page) {
            // 65,536, which two bytes do not hold.
            1 => self.length.is_multiple_of(65_536),
            size => self.length.is_multiple_of(u64::from(size)),
        };
        if !whole_pages && !self.has_beside("-wal") && !self.has_beside("-journal") {
            return damaged("its last page is incomplete");
        }
        Ok(true)
    }

    /// Whether there is a file of this name with `suffix`.
    fn has_beside(&self, suffix: &str) -> bool {
        self.beside(suffix).exists()
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// Creates the file if there is none, for its owner only. SQLite gives the files beside it the same mode.
    pub(super) fn create(&self) -> Result<(), OpenError> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path).map(|_| ()).map_err(|error| refused(&self.path, &error))
    }
}

fn read_only(path: &Path, problem: &str) -> OpenError {
    OpenError::ReadOnly { path: path.display().to_string(), problem: problem.to_owned() }
}

/// An operation that the system denies, with the owner and mode that the operator has to correct.
fn refused(path: &Path, error: &io::Error) -> OpenError {
    if error.kind() != ErrorKind::PermissionDenied {
        return read_only(path, &error.to_string());
    }
    // The cause may be a folder above that cannot be searched.
    let seen = path.ancestors().find_map(|place| Some((place, fs::metadata(place).ok()?)));
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let problem = seen.map(|(place, found)| {
        let what = if place == path { "it".to_owned() } else { format!("the folder {}", place.display()) };
        let mode = found.mode() & 0o7777;
        format!(
            "permission denied: {what} belongs to user {} and group {} and has mode {mode:04o}, and tokend runs as user {user} and \
             group {group}; give it to that user",
            found.uid(),
            found.gid()
        )
    });
    read_only(path, &problem.unwrap_or_else(|| error.to_string()))
}

/// Maps SQLite's result code when a file does not open (<https://www.sqlite.org/rescode.html>).
pub(super) fn open_error(path: &Path, error: &sqlx::Error) -> OpenError {
    let problem = error.to_string();
    let path = path.display().to_string();
    // The low byte is the primary result code.
    match result_code(error).map(|code| code & 0xff) {
        // CORRUPT, NOTADB
        Some(11 | 26) => OpenError::Damaged { path, problem },
        // PERM, READONLY, FULL, CANTOPEN
        Some(3 | 8 | 13 | 14) => OpenError::ReadOnly { path, problem },
        _ => OpenError::Unreachable { location: format!("sqlite:{path}"), problem },
    }
}

/// Whether a read-only connection found a journal that must be rolled back (READONLY_ROLLBACK).
pub(super) fn needs_rollback(error: &sqlx::Error) -> bool {
    result_code(error) == Some(776)
}

/// Whether the database cannot be written (PERM, READONLY).
pub(super) fn is_read_only(error: &sqlx::Error) -> bool {
    result_code(error).is_some_and(|code| matches!(code & 0xff, 3 | 8))
}

/// Whether another connection holds a lock (BUSY).
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    result_code(error).is_some_and(|code| code & 0xff == 5)
}

fn result_code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

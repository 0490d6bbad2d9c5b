//! The database's file: whether it can be written, how it is made, and what SQLite's errors say about it.

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

/// The file of a database, in a folder that is there and can be written.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    /// Absolute, so that SQLite never takes a name like `file:x` for a URI.
    path: PathBuf,
    length: u64,
}

impl DatabaseFile {
    /// Looks at what is at `path`. The permission bits count even for root, who could write in spite of them.
    pub(super) fn find(path: &Path) -> Result<Self, OpenError> {
        let path = std::path::absolute(path).map_err(|error| refused(path, &error))?;
        let folder = path.parent().unwrap_or(&path);
        match fs::metadata(folder) {
            Ok(found) if !found.is_dir() => return Err(read_only(folder, "it is no folder")),
            Ok(found) if found.permissions().readonly() => {
                return Err(read_only(
                    folder,
                    "the folder is read-only; SQLite keeps files beside the database",
                ));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(read_only(folder, "there is no such folder; make it first"));
            }
            Err(error) => return Err(refused(folder, &error)),
        }
        let length = match fs::metadata(&path) {
            Ok(found) if !found.is_file() => return Err(read_only(&path, "it is no file")),
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
                // Gone since it was seen: another process has closed the database.
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

    /// Whether there is a database in it; not if there is nothing.
    ///
    /// # Errors
    /// When it is something else. SQLite takes a file that is shorter than its header for an empty database, and
    /// would write over it.
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
            return damaged("it does not begin as one");
        }
        // SQLite fills what is missing of the last page with zeros. A write that was cut off is its own to mend, from the
        // log or journal beside the file; without either, somebody else cut it.
        let whole_pages = match u16::from_be_bytes(page) {
            // 65,536, which two bytes do not hold.
            1 => self.length.is_multiple_of(65_536),
            size => self.length.is_multiple_of(u64::from(size)),
        };
        if !whole_pages && !self.has_beside("-wal") && !self.has_beside("-journal") {
            return damaged("its last page is cut off");
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

    /// Makes the file if there is none, for its owner only. SQLite gives the files beside it the same mode.
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

/// What the system refuses, with what an operator needs to put it right.
fn refused(path: &Path, error: &io::Error) -> OpenError {
    if error.kind() != ErrorKind::PermissionDenied {
        return read_only(path, &error.to_string());
    }
    // Below a folder that may not be looked into, the folder is at fault.
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

/// Why a file does not open, from SQLite's result code (<https://www.sqlite.org/rescode.html>).
pub(super) fn open_error(path: &Path, error: &sqlx::Error) -> OpenError {
    let problem = error.to_string();
    let path = path.display().to_string();
    // The low byte is the kind, the rest says more.
    match result_code(error).map(|code| code & 0xff) {
        // CORRUPT, NOTADB
        Some(11 | 26) => OpenError::Damaged { path, problem },
        // PERM, READONLY, FULL, CANTOPEN
        Some(3 | 8 | 13 | 14) => OpenError::ReadOnly { path, problem },
        _ => OpenError::Unreachable { location: format!("sqlite:{path}"), problem },
    }
}

/// Whether a connection that cannot write met a journal that must be rolled back (READONLY_ROLLBACK).
pub(super) fn needs_rollback(error: &sqlx::Error) -> bool {
    result_code(error) == Some(776)
}

/// Whether a connection may not write (PERM, READONLY).
pub(super) fn is_read_only(error: &sqlx::Error) -> bool {
    result_code(error).is_some_and(|code| matches!(code & 0xff, 3 | 8))
}

/// Whether another connection has what this one needs (BUSY).
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    result_code(error).is_some_and(|code| code & 0xff == 5)
}

fn result_code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

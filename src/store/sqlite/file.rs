//! The database's file: whether it can be written, how it is made, and what SQLite's errors say about it.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
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
        let path = std::path::absolute(path).map_err(|error| read_only(path, &error))?;
        let folder = path.parent().unwrap_or(&path);
        match fs::metadata(folder) {
            Ok(found) if !found.is_dir() => return Err(read_only(folder, &"it is no folder")),
            Ok(found) if found.permissions().readonly() => {
                return Err(read_only(
                    folder,
                    &"the folder is read-only; SQLite keeps files beside the database",
                ));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(read_only(folder, &"there is no such folder; make it first"));
            }
            Err(error) => return Err(read_only(folder, &error)),
        }
        let length = match fs::metadata(&path) {
            Ok(found) if !found.is_file() => return Err(read_only(&path, &"it is no file")),
            Ok(found) if found.permissions().readonly() => {
                return Err(read_only(&path, &"the file is read-only"));
            }
            Ok(found) => found.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(read_only(&path, &error)),
        };
        Ok(Self { path, length })
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
        let read = File::open(&self.path).and_then(|mut file| {
            file.read_exact(&mut magic)?;
            file.read_exact(&mut page)
        });
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
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        Path::new(&name).exists()
    }

    /// Makes the file if there is none, for its owner only. SQLite gives the files beside it the same mode.
    pub(super) fn create(&self) -> Result<(), OpenError> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path).map(|_| ()).map_err(|error| read_only(&self.path, &error))
    }
}

fn read_only(path: &Path, problem: &dyn std::fmt::Display) -> OpenError {
    OpenError::ReadOnly { path: path.display().to_string(), problem: problem.to_string() }
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

/// Whether another connection has what this one needs (BUSY).
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    result_code(error).is_some_and(|code| code & 0xff == 5)
}

fn result_code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

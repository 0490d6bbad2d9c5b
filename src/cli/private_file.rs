//! Files that only their owner may read.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

use tempfile::NamedTempFile;

/// Creates a file that only its owner may read.
///
/// # Errors
/// `AlreadyExists` if the file exists, because it is never overwritten.
pub(super) fn create(path: &Path, content: &str) -> io::Result<()> {
    temporary(path, content)?.persist_noclobber(path).map(drop).map_err(|error| error.error)
}

/// Creates or replaces a file atomically: a reader sees the old file or the new one.
///
/// # Errors
/// When a temporary file beside it cannot be created or renamed.
pub(super) fn replace(path: &Path, content: &str) -> io::Result<()> {
    temporary(path, content)?.persist(path).map(drop).map_err(|error| error.error)
}

/// A temporary file in the same folder, which is removed unless it is renamed. Its mode is 0600.
fn temporary(path: &Path, content: &str) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(content.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Creates a folder and its parents. Only the owner may read a new folder.
///
/// # Errors
/// When one cannot be created.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::{fs, io::ErrorKind};

    use super::{create, create_folder, replace};

    #[test]
    fn files_are_private_and_never_overwritten_by_create() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        create_folder(&inner).unwrap();
        create_folder(&inner).unwrap();
        let path = inner.join("secret");
        create(&path, "one").unwrap();
        assert_eq!(create(&path, "two").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        replace(&path, "three").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1, "the temporary file is gone");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }
}

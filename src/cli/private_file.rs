//! Files that only their owner may read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Makes a file that must not be there yet; only its owner may read it.
///
/// # Errors
/// `AlreadyExists` when it is there: nothing is ever overwritten. A file that could not be written whole is removed.
pub(super) fn create(path: &Path, content: &str) -> io::Result<()> {
    let mut file = open_new(path)?;
    let written = file.write_all(content.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a file would be read at the next start; the first error says more than a second one.
        let _ = fs::remove_file(path);
    }
    written
}

/// Makes or replaces a file in one step, so that a reader sees the old one or the new one.
///
/// # Errors
/// When a file cannot be made beside it, or cannot take its place.
pub(super) fn replace(path: &Path, content: &str) -> io::Result<()> {
    let beside = beside(path);
    match create(&beside, content) {
        // Left by a process that was stopped in the middle.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&beside)?;
            create(&beside, content)?;
        }
        made => made?,
    }
    fs::rename(&beside, path)
}

/// Makes a folder and those above it; only its owner may look into those that are new.
///
/// # Errors
/// When one cannot be made.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn open_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    PathBuf::from(name)
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
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1, "nothing is left beside it");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }
}

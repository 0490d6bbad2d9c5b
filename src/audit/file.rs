//! Lines in a file, which others may rename or remove at any time.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use super::{
    line::Line,
    sink::{AuditOpenError, Sink, SinkError, text},
};

/// An append-only file. Before each batch it is looked whether it is still the one of that name; if not, another is begun.
#[derive(Debug)]
pub(super) struct FileSink {
    path: PathBuf,
    /// Whether each batch is on the disk before it counts as written.
    durable: bool,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode, which tell one file from another.
    identity: (u64, u64),
    /// The last line in it has no end: a process or a disk gave up in the middle.
    torn: bool,
}

impl FileSink {
    /// Opens the file, or makes it for its owner only.
    pub(super) fn open(path: PathBuf, durable: bool) -> Result<Self, AuditOpenError> {
        match Open::at(&path) {
            Ok(open) => Ok(Self { path, durable, open: Some(open) }),
            Err(error) => Err(AuditOpenError {
                setting: "audit_file",
                problem: format!("{} cannot be written: {error}", path.display()),
            }),
        }
    }

    /// The file of that name, as it is now.
    fn current(&mut self) -> io::Result<&mut Open> {
        let named = identity(&self.path);
        let current = match self.open.take() {
            Some(open) if named == Some(open.identity) => open,
            former => {
                if let Some(former) = former {
                    // What was written before it was renamed is as durable as what comes after.
                    former.file.sync_data()?;
                }
                Open::at(&self.path)?
            }
        };
        Ok(self.open.insert(current))
    }

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let durable = self.durable;
        let open = self.current()?;
        if open.torn {
            open.file.write_all(b"\n")?;
            open.torn = false;
        }
        if let Err(error) = open.file.write_all(text) {
            open.torn = true;
            return Err(error);
        }
        if durable { open.file.sync_data() } else { Ok(()) }
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let made = !path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let metadata = file.metadata()?;
        if made && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            // Its name is to survive as well.
            File::open(folder)?.sync_all()?;
        }
        let torn = metadata.is_file() && metadata.len() > 0 && {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            last != *b"\n"
        };
        Ok(Self { file, identity: (metadata.dev(), metadata.ino()), torn })
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[async_trait]
impl Sink for FileSink {
    async fn write(&mut self, lines: &[Arc<Line>]) -> Result<(), SinkError> {
        self.append(&text(lines)).map_err(|error| SinkError(format!("{}: {error}", self.path.display())))
    }

    async fn finish(&mut self) {
        if let Some(open) = &self.open
            && let Err(error) = open.file.sync_all()
        {
            tracing::warn!(path = %self.path.display(), %error, "the audit file may not be whole on the disk");
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_follows_its_name_and_ends_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let (path, rotated) = (folder.path().join("audit"), folder.path().join("audit.1"));
        let mut sink = FileSink::open(path.clone(), true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        sink.append(b"one\n").unwrap();
        fs::rename(&path, &rotated).unwrap();
        sink.append(b"two\n").unwrap();
        fs::remove_file(&path).unwrap();
        sink.append(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&rotated).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        // Copied and emptied, as some rotate.
        File::create(&path).unwrap();
        sink.append(b"four\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
        // A process that was killed in the middle of a line.
        fs::write(&path, "{\"torn").unwrap();
        let mut sink = FileSink::open(path.clone(), false).unwrap();
        sink.append(b"five\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"torn\nfive\n");
    }

    #[test]
    fn a_folder_that_is_gone_is_an_error_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("logs");
        fs::create_dir(&inner).unwrap();
        let path = inner.join("audit");
        let mut sink = FileSink::open(path.clone(), false).unwrap();
        fs::remove_dir_all(&inner).unwrap();
        assert!(sink.append(b"one\n").is_err() && sink.append(b"one\n").is_err());
        fs::create_dir(&inner).unwrap();
        sink.append(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        let problem = FileSink::open(folder.path().to_owned(), false).unwrap_err().to_string();
        assert!(problem.starts_with("setting `audit_file`: "), "{problem}");
    }
}

//! The sink for a file, which other programs may rename or delete at any time.

use std::{
    fs::{self, File, FileType, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use rustix::fs::OFlags;

use super::{
    record::AuditRecord,
    sink::{AuditOpenError, Sink, SinkError, lines},
};

/// The timeout for the lock of another process, which holds it for one write.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The interval of attempts to lock the file.
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// An append-only file. It is reopened before a batch if another file, or none, has its name.
#[derive(Debug)]
pub(super) struct FileSink {
    path: PathBuf,
    /// Whether each batch is flushed to the disk before it counts as written.
    durable: bool,
    /// The timeout for the lock of another process.
    lock_wait: Duration,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode, which identify the file.
    identity: (u64, u64),
}

impl FileSink {
    /// Opens the file, or creates it with mode 0600.
    pub(super) fn open(path: PathBuf, durable: bool) -> Result<Self, AuditOpenError> {
        match Open::at(&path) {
            Ok(open) => Ok(Self { path, durable, lock_wait: LOCK_WAIT, open: Some(open) }),
            Err(error) => Err(AuditOpenError {
                setting: "audit_file",
                problem: format!("{} cannot be written: {error}", path.display()),
            }),
        }
    }

    /// The file that has the name now.
    fn current(&mut self) -> io::Result<&File> {
        let named = identity(&self.path);
        let current = match self.open.take() {
            Some(open) if named == Some(open.identity) => open,
            former => {
                if let Some(former) = former {
                    // The records before the renaming must be as durable as those after it.
                    former.file.sync_data()?;
                }
                Open::at(&self.path)?
            }
        };
        Ok(&self.open.insert(current).file)
    }

    async fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let (durable, lock_wait) = (self.durable, self.lock_wait);
        let file = self.current()?;
        Locked::of(file, lock_wait).await?.append(text)?;
        if durable { file.sync_data() } else { Ok(()) }
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let made = match fs::symlink_metadata(path) {
            // Opening a device may have an effect.
            Ok(metadata) => plain(path, metadata.file_type()).map(|()| false)?,
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        // A link or pipe that was created since is neither followed nor waited for.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        plain(path, metadata.file_type())?;
        if made && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            // The name of the file must survive a crash, too.
            File::open(folder)?.sync_all()?;
        }
        match file.try_lock() {
            Ok(()) => file.unlock()?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(io::Error::new(error.kind(), format!("it cannot be locked: {error}")));
            }
        }
        Ok(Self { file, identity: (metadata.dev(), metadata.ino()) })
    }
}

/// Checks that this is a plain file. A link may point to any file, chosen by any user with write access to the folder.
fn plain(path: &Path, kind: FileType) -> io::Result<()> {
    let what = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_symlink() => "a symbolic link",
        _ if kind.is_dir() => "a folder",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    let standard = path.starts_with("/dev") || path.starts_with("/proc");
    let hint = if standard { "; the sink `stdout` writes to standard output" } else { "" };
    Err(io::Error::other(format!("it is {what}, and must be a plain file{hint}")))
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// A file with its advisory lock held.
struct Locked<'f>(&'f File);

impl<'f> Locked<'f> {
    async fn of(file: &'f File, wait: Duration) -> io::Result<Self> {
        let locked = async {
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(Self(file)),
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
                    Err(TryLockError::Error(error)) => return Err(error),
                }
            }
        };
        let held = |_| io::Error::new(ErrorKind::TimedOut, "another process holds the lock of the file");
        tokio::time::timeout(wait, locked).await.map_err(held)?
    }

    /// Writes all of the text, or truncates the file to its former length.
    fn append(&self, text: &[u8]) -> io::Result<()> {
        let mut file = self.0;
        let before = file.metadata()?.len();
        let written = self.end_line(before).and_then(|()| file.write_all(text));
        if written.is_err() && file.metadata().is_ok_and(|metadata| metadata.len() > before) {
            // If the file cannot be truncated, the next write ends the incomplete line.
            let _ = file.set_len(before);
        }
        written
    }

    /// Ends the last line if it is incomplete.
    fn end_line(&self, length: u64) -> io::Result<()> {
        let mut file = self.0;
        let mut last = *b"\n";
        if let Some(place) = length.checked_sub(1) {
            // The file may have been truncated meanwhile.
            let _ = file.read_at(&mut last, place)?;
        }
        if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Closing the file also unlocks it.
        let _ = self.0.unlock();
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn write(&mut self, records: &[Arc<AuditRecord>]) -> Result<(), SinkError> {
        let appended = self.append(&lines(records)).await;
        appended.map_err(|error| SinkError(format!("{}: {error}", self.path.display())))
    }

    async fn finish(&mut self) {
        if let Some(open) = &self.open
            && let Err(error) = open.file.sync_all()
        {
            tracing::warn!(path = %self.path.display(), %error, "the audit file could not be flushed to the disk");
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
    };

    use super::*;

    #[tokio::test]
    async fn it_follows_its_name_and_ends_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let (path, rotated) = (folder.path().join("audit"), folder.path().join("audit.1"));
        let mut sink = FileSink::open(path.clone(), true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        sink.append(b"one\n").await.unwrap();
        fs::rename(&path, &rotated).unwrap();
        sink.append(b"two\n").await.unwrap();
        fs::remove_file(&path).unwrap();
        sink.append(b"three\n").await.unwrap();
        assert_eq!(fs::read_to_string(&rotated).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        // Copied and emptied, as some rotate.
        File::create(&path).unwrap();
        sink.append(b"four\n").await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
        // Another process that gave up in the middle of a line, while the file was open.
        fs::write(&path, "{\"torn").unwrap();
        sink.append(b"five\n").await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"torn\nfive\n");
        // And this one, before it was started again.
        fs::write(&path, "{\"torn").unwrap();
        let mut sink = FileSink::open(path.clone(), false).unwrap();
        sink.append(b"six\n").await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"torn\nsix\n");
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_an_error_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("logs");
        fs::create_dir(&inner).unwrap();
        let path = inner.join("audit");
        let mut sink = FileSink::open(path.clone(), false).unwrap();
        fs::remove_dir_all(&inner).unwrap();
        assert!(sink.append(b"one\n").await.is_err() && sink.append(b"one\n").await.is_err());
        fs::create_dir(&inner).unwrap();
        sink.append(b"two\n").await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    }

    #[tokio::test]
    async fn what_is_no_plain_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::create_dir(place("logs")).unwrap();
        File::create(place("other")).unwrap();
        symlink(place("other"), place("link")).unwrap();
        symlink(place("nowhere"), place("lure")).unwrap();
        let fifo = std::process::Command::new("mkfifo").arg(place("pipe")).status().unwrap();
        assert!(fifo.success());
        let _socket = UnixListener::bind(place("socket")).unwrap();
        for (path, what) in [
            (place("logs"), "it is a folder, and must be a plain file"),
            (place("link"), "it is a symbolic link, and must be a plain file"),
            (place("lure"), "it is a symbolic link, and must be a plain file"),
            (place("pipe"), "it is a pipe, and must be a plain file"),
            (place("socket"), "it is a socket, and must be a plain file"),
            ("/dev/full".into(), "it is a device, and must be a plain file; the sink `stdout`"),
            ("/dev/stdout".into(), "it is a symbolic link, and must be a plain file; the sink `stdout`"),
        ] {
            let problem = FileSink::open(path.clone(), false).unwrap_err().to_string();
            let expected = format!("setting `audit_file`: {} cannot be written: {what}", path.display());
            assert!(problem.starts_with(&expected), "{problem}");
        }
        assert!(!place("nowhere").exists() && fs::read(place("other")).unwrap().is_empty());

        // A folder may be a link, and a link may come in place of the file later.
        symlink(place("logs"), place("linked")).unwrap();
        let path = place("linked").join("audit");
        let mut sink = FileSink::open(path.clone(), false).unwrap();
        sink.append(b"one\n").await.unwrap();
        fs::rename(&path, place("former")).unwrap();
        symlink(place("former"), &path).unwrap();
        let problem = sink.append(b"two\n").await.unwrap_err().to_string();
        assert!(problem.contains("a symbolic link"), "{problem}");
        fs::remove_file(&path).unwrap();
        sink.append(b"three\n").await.unwrap();
        assert_eq!(fs::read_to_string(place("logs").join("audit")).unwrap(), "three\n");
        assert_eq!(fs::read_to_string(place("former")).unwrap(), "one\n");
    }

    #[tokio::test]
    async fn one_that_writes_keeps_the_others_out_but_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let mut sink = FileSink::open(path.clone(), true).unwrap();
        let other = OpenOptions::new().append(true).open(&path).unwrap();
        other.lock().unwrap();
        sink.lock_wait = Duration::ZERO;
        let problem = sink.append(b"one\n").await.unwrap_err().to_string();
        assert_eq!(problem, "another process holds the lock of the file");
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        // One that is let go of meanwhile is had, and then let go of too.
        sink.lock_wait = Duration::from_secs(60);
        let (waits, ()) = tokio::join!(sink.append(b"two\n"), async {
            assert_eq!(fs::read_to_string(&path).unwrap(), "");
            other.unlock().unwrap();
        });
        waits.unwrap();
        other.try_lock().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        // One that begins does not wait for another's write.
        FileSink::open(path, true).unwrap();
    }
}

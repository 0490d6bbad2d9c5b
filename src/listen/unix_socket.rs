//! A Unix socket at a path: it appears there with its mode and owner, and is removed when it closes.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, lchown},
    },
    path::{Path, PathBuf},
};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use tokio::net::{UnixListener, UnixStream};

use crate::{
    files::printable,
    random::{self, RandomError},
};

/// Connections that wait to be accepted: as many as for a TCP port of the standard library and more, because the kernel delays a
/// client of a full Unix socket instead of repeating its request.
const BACKLOG: i32 = 1024;

/// The characters that the temporary name has more than the path.
const SUFFIX: usize = 9;

/// The longest path in bytes: an address has room for 107 (unix(7)), and the temporary name must fit too.
pub const MAX_SOCKET_PATH: usize = 107 - SUFFIX;

/// Where a Unix socket is, and who may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocketSettings {
    /// The path.
    pub path: PathBuf,
    /// The mode of the file: a process that may write to it may connect.
    pub mode: u32,
    /// The user of the file; none: this process's.
    pub uid: Option<u32>,
    /// The group of the file; none: this process's.
    pub gid: Option<u32>,
}

/// Why a Unix socket cannot be bound. The text names the setting.
#[derive(Debug, thiserror::Error)]
pub enum UnixSocketError {
    /// The path is too long, or names no file.
    #[error("grpc_socket: {} must be the path of a file, of at most {MAX_SOCKET_PATH} bytes", printable(.0))]
    Path(PathBuf),
    /// Another process listens there.
    #[error("grpc_socket: {} is in use by another process; stop it, or set another path", printable(.0))]
    InUse(PathBuf),
    /// A file, a folder or a symbolic link, which is never removed.
    #[error("grpc_socket: {} exists and is no socket; remove it, or set another path", printable(.0))]
    NotASocket(PathBuf),
    /// There is no folder for it.
    #[error("grpc_socket: the folder of {} does not exist; create it, or set another path", printable(.0))]
    NoFolder(PathBuf),
    /// The owner cannot be set.
    #[error("grpc_socket_owner: the owner of {} cannot be set: {error}; only root may set another user, or a group of which the server is no member", printable(.path))]
    Owner {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// Any other error of the system.
    #[error("grpc_socket: cannot listen on {}: {error}", printable(.path))]
    Io {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
}

/// A Unix socket that listens. Dropping it removes the file.
#[derive(Debug)]
pub struct UnixSocket {
    // Dropped first: until the file is removed, another server that starts here finds that the socket is in use.
    file: SocketFile,
    listener: UnixListener,
}

/// The file of a socket, which is removed when this is dropped, unless another process has replaced it.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl UnixSocket {
    /// Listens at a path. The socket is bound under a temporary name in the same folder, gets its mode and owner, begins to listen, and
    /// is then renamed: no process can connect before the mode and the owner are set. A socket on which no process listens is replaced.
    ///
    /// # Errors
    /// When the path is in use, is no socket, or cannot be created.
    pub async fn bind(settings: &UnixSocketSettings) -> Result<Self, UnixSocketError> {
        let path = &settings.path;
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => UnixSocketError::NoFolder(path.clone()),
            _ => UnixSocketError::Io { path: path.clone(), error },
        };
        if !is_socket_path(path) {
            return Err(UnixSocketError::Path(path.clone()));
        }
        check_path(path).await?;
        let temporary = temporary_name(path).map_err(|error| failed(io::Error::other(error)))?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(|error| failed(error.into()))?;
        let address = SocketAddrUnix::new(&temporary).map_err(|error| failed(error.into()))?;
        bind(&socket, &address).map_err(|error| failed(error.into()))?;
        let mut file = SocketFile::of(temporary).map_err(failed)?;
        if settings.uid.is_some() || settings.gid.is_some() {
            lchown(&file.path, settings.uid, settings.gid)
                .map_err(|error| UnixSocketError::Owner { path: path.clone(), error })?;
        }
        fs::set_permissions(&file.path, Permissions::from_mode(settings.mode)).map_err(failed)?;
        listen(&socket, BACKLOG).map_err(|error| failed(error.into()))?;
        fs::rename(&file.path, path).map_err(failed)?;
        file.path.clone_from(path);
        let listener = UnixListener::from_std(socket.into()).map_err(failed)?;
        Ok(Self { file, listener })
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.file.path
    }
}

impl SocketFile {
    fn of(path: PathBuf) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(&path)?;
        Ok(Self { path, device: metadata.dev(), inode: metadata.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The kernel keeps the inode while the socket is open, so no other file can have its number.
        let is_own = |metadata: fs::Metadata| (metadata.dev(), metadata.ino()) == (self.device, self.inode);
        if fs::symlink_metadata(&self.path).is_ok_and(is_own) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Rejects a path at which there is something other than a socket on which no process listens.
async fn check_path(path: &Path) -> Result<(), UnixSocketError> {
    let failed = |error| UnixSocketError::Io { path: path.to_owned(), error };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(UnixSocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        // Removed meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // With a full queue the socket would block.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(failed(error)),
        Ok(_) | Err(_) => Err(UnixSocketError::InUse(path.to_owned())),
    }
}

/// The path with a dot and eight hexadecimal digits.
fn temporary_name(path: &Path) -> Result<PathBuf, RandomError> {
    let number = u32::from_be_bytes(random::bytes()?);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number:08x}"));
    Ok(name.into())
}

/// Whether a path is short enough for a socket, and names a file.
pub fn is_socket_path(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.len() <= MAX_SOCKET_PATH && path.file_name().is_some() && !bytes.ends_with(b"/")
}

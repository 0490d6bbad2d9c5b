//! The file of a Unix socket: its mode and owner, what it replaces, and when it is removed.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        net::{UnixDatagram, UnixListener, UnixStream},
    },
    path::Path,
};

use tempfile::TempDir;
use tokend::listen::{MAX_SOCKET_PATH, UnixSocket, UnixSocketSettings, is_socket_path};

use crate::unix_socket::at_path;

async fn bind(path: &Path) -> Result<UnixSocket, String> {
    UnixSocket::bind(&at_path(path.to_owned())).await.map_err(|error| error.to_string())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn the_socket_has_its_mode_and_owner_and_nothing_is_left_beside_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.sock");
    let is_root = rustix::process::geteuid().is_root();
    for mode in [0o600, 0o660, 0o666, 0o777] {
        let (uid, gid) = if is_root { (Some(4321), Some(4322)) } else { (None, None) };
        let settings = UnixSocketSettings { path: path.clone(), mode, uid, gid };
        let socket = UnixSocket::bind(&settings).await.unwrap();
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, mode, "whatever the umask is");
        if is_root {
            assert_eq!((metadata.uid(), metadata.gid()), (4321, 4322));
        }
        assert_eq!(names(folder.path()), ["tokend.sock"]);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert_eq!(names(folder.path()), <[&str; 0]>::default());
    }
    if !is_root {
        let settings = UnixSocketSettings { path: path.clone(), mode: 0o600, uid: Some(0), gid: None };
        let error = UnixSocket::bind(&settings).await.unwrap_err().to_string();
        assert!(error.starts_with("grpc_socket_owner: "), "{error}");
        assert_eq!(names(folder.path()), <[&str; 0]>::default());
    }
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_one_in_use_is_not() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "the standard library removes no socket");
    let first = bind(&path).await.unwrap();
    let inode = fs::symlink_metadata(&path).unwrap().ino();

    let error = bind(&path).await.unwrap_err();
    let expected = format!("grpc_socket: {} is in use by another process", path.display());
    assert!(error.starts_with(&expected), "{error}");
    assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), inode);
    UnixStream::connect(&path).unwrap();
    assert_eq!(names(folder.path()), ["tokend.sock"]);
    drop(first);

    // Another kind of socket is no socket of a server that ended.
    let _datagrams = UnixDatagram::bind(&path).unwrap();
    bind(&path).await.unwrap_err();
    assert!(path.exists());
}

#[tokio::test]
async fn anything_else_at_the_path_is_an_error_and_stays() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "precious").unwrap();
    fs::create_dir(at("folder")).unwrap();
    let _target = UnixListener::bind(at("target")).unwrap();
    symlink(at("target"), at("link")).unwrap();
    symlink(at("nothing"), at("dangling")).unwrap();
    for name in ["file", "folder", "link", "dangling"] {
        let error = bind(&at(name)).await.unwrap_err();
        let expected = format!("grpc_socket: {} exists and is no socket", at(name).display());
        assert!(error.starts_with(&expected), "{error}");
    }
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "precious");
    assert!(at("folder").is_dir() && at("link").is_symlink() && at("dangling").is_symlink());
    assert_eq!(names(folder.path()).len(), 5);
}

#[tokio::test]
async fn a_path_without_a_folder_or_with_too_many_bytes_is_an_error() {
    let folder = TempDir::new().unwrap();
    let absent = folder.path().join("none/tokend.sock");
    let error = bind(&absent).await.unwrap_err();
    assert_eq!(
        error,
        format!(
            "grpc_socket: the folder of {} does not exist; create it, or set another path",
            absent.display()
        )
    );
    // The longest path works.
    let name = "x".repeat(MAX_SOCKET_PATH - folder.path().as_os_str().len() - 1);
    let longest = folder.path().join(&name);
    assert!(is_socket_path(&longest));
    let _socket = bind(&longest).await.unwrap();
    UnixStream::connect(&longest).unwrap();
    let longer = folder.path().join(name + "x");
    assert!(!is_socket_path(&longer));
    let error = bind(&longer).await.unwrap_err();
    assert!(error.ends_with("must be the path of a file, of at most 98 bytes"), "{error}");
    assert!(!is_socket_path(Path::new("/run/")) && !is_socket_path(Path::new("..")));
}

#[tokio::test]
async fn the_socket_of_another_process_is_not_removed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.sock");
    let first = bind(&path).await.unwrap();
    fs::remove_file(&path).unwrap();
    let second = bind(&path).await.unwrap();
    drop(first);
    UnixStream::connect(&path).unwrap();
    drop(second);
    assert!(!path.exists());
}

//! Starts that must fail: in one line that names the setting, with everything left as it was.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::process::{FREE_PORTS, Watched, init};

const SERVE: [&str; 4] = ["serve", "--config", "tokend.toml", "--allow-plaintext"];

/// What `init` leaves: a configuration, a sealing key and a store.
fn made() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let store = folder.path().join("tokend.db");
    (folder, store)
}

/// Every file below `folder` with its content and mode.
fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32)> {
    let mut found = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        if file.is_dir() {
            found.extend(files(&file));
        } else {
            let mode = fs::metadata(&file).unwrap().mode();
            found.insert(file.clone(), (fs::read(&file).unwrap(), mode));
        }
    }
    found
}

/// Starts a server that must end with this code and one line, which is answered; nothing may have changed.
#[track_caller]
fn refused(folder: &Path, code: i32, arguments: &[&str]) -> String {
    let before = files(folder);
    let ended = Watched::start(folder, &[&SERVE[..], arguments].concat()).ended();
    assert_eq!((ended.code, ended.stdout.len(), ended.stderr.len()), (Some(code), 0, 1), "{ended:#?}");
    let after = files(folder);
    let came: Vec<_> = after.iter().filter(|(file, _)| !before.contains_key(*file)).collect();
    // SQLite reads a store through two files beside it, and a reader that may not write leaves them, without content.
    let beside = |file: &Path| file.ends_with("tokend.db-shm") || file.ends_with("tokend.db-wal");
    assert!(came.iter().all(|(file, _)| beside(file)), "{came:?}");
    assert!(came.iter().all(|(file, (content, _))| !file.ends_with("tokend.db-wal") || content.is_empty()));
    for (file, content) in &before {
        assert!(after.get(file) == Some(content), "{} was changed", file.display());
    }
    let line = ended.stderr[0].clone();
    assert!(line.starts_with("error: "), "{line}");
    line
}

/// The same for a store that cannot be used.
#[track_caller]
fn store_refused(folder: &Path) -> String {
    let line = refused(folder, 1, &FREE_PORTS);
    assert!(line.contains("setting `store`: "), "{line}");
    line
}

#[test]
fn a_read_only_file_or_folder_is_refused() {
    let (folder, store) = made();
    fs::set_permissions(&store, Permissions::from_mode(0o444)).unwrap();
    let line = store_refused(folder.path());
    assert!(line.contains("tokend.db") && line.contains("read-only"), "{line}");
    fs::set_permissions(&store, Permissions::from_mode(0o600)).unwrap();

    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    let line = store_refused(folder.path());
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    assert!(line.contains("folder is read-only"), "{line}");
}

#[test]
fn a_damaged_file_is_refused() {
    let (folder, store) = made();
    let whole = fs::read(&store).unwrap();
    let noise: Vec<u8> =
        (0..20_000_u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut damaged = vec![noise];
    damaged.extend([100, 4096, whole.len() / 2, whole.len() - 4096].map(|length| whole[..length].to_vec()));
    // Pages 1 (the schema), 2, and the last.
    for page in [0, 1, whole.len() / 4096 - 1] {
        let mut flipped = whole.clone();
        flipped[4096 * page..4096 * (page + 1)].iter_mut().for_each(|byte| *byte = !*byte);
        damaged.push(flipped);
    }
    for content in damaged {
        fs::write(&store, &content).unwrap();
        let line = store_refused(folder.path());
        assert!(line.contains("tokend.db is not a sound SQLite database"), "{line}");
    }
}

#[tokio::test]
async fn a_newer_store_is_refused() {
    let (folder, store) = made();
    let mut connection = SqliteConnectOptions::new().filename(&store).connect().await.unwrap();
    let newer = "INSERT INTO tokend_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9000, 'later', TRUE, x'00', 0)";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let line = store_refused(folder.path());
    assert!(line.contains("schema version 9000") && line.contains("newer tokend"), "{line}");
}

#[test]
fn another_sealing_key_is_refused() {
    let (folder, _) = made();
    let sealing_key = folder.path().join("sealing.key");
    fs::write(&sealing_key, format!("{}\n", "A".repeat(43))).unwrap();
    let line = refused(folder.path(), 1, &FREE_PORTS);
    assert!(line.contains("`sealing_key`") && !line.contains("AAAA"), "{line}");
}

/// A setting that cannot be read is a wrong setting, like all that `config check` finds: 2.
#[test]
fn a_sealing_key_that_is_missing_or_none_is_refused() {
    let (folder, _) = made();
    let sealing_key = folder.path().join("sealing.key");
    let text = fs::read_to_string(&sealing_key).unwrap();
    let cut = &text[..20];
    fs::write(&sealing_key, cut).unwrap();
    let line = refused(folder.path(), 2, &FREE_PORTS);
    assert!(line.contains("sealing_key") && !line.contains(cut), "{line}");
    fs::remove_file(&sealing_key).unwrap();
    let line = refused(folder.path(), 2, &FREE_PORTS);
    assert!(line.contains("sealing_key") && line.contains("sealing.key"), "{line}");
}

#[test]
fn a_port_in_use_is_refused_before_the_store_is_touched() {
    let (folder, _) = made();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other, setting) in
        [("--grpc-addr", "--http-addr", "grpc_addr"), ("--http-addr", "--grpc-addr", "http_addr")]
    {
        let arguments = [flag, &address, other, "127.0.0.1:0", "--store", "sqlite:fresh.db"];
        let line = refused(folder.path(), 1, &arguments);
        assert!(line.contains(setting) && line.contains(&address) && line.contains("in use"), "{line}");
    }
}

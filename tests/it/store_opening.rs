//! Opening a SQLite store: what is refused, in which words, and that what is refused stays as it was.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
};

use proptest::prelude::*;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokend::store::{self, Location, OpenError, Store, StoreError};
use tokio::task::JoinSet;

use crate::store_backends::{client, ensure_key, full_settings, key, secret, stored_keys};

async fn open(path: &Path) -> Result<Arc<Store>, OpenError> {
    store::open(&Location::Sqlite(path.to_owned())).await
}

/// Runs SQL past the store.
async fn execute(path: &Path, sql: &str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A closed store with enough in it for some dozens of pages.
async fn filled(path: &Path) {
    let store = open(path).await.unwrap();
    ensure_key(&store, &key("key", 1)).await.unwrap();
    for number in 0..100 {
        let mut record = client(&format!("client-{number:03}"), vec![secret(number, 1, None)]);
        record.client.settings = full_settings();
        store.create_client(&record).await.unwrap();
    }
    store.close().await;
}

/// Opens a file that must be refused, and looks that it stayed as it was.
async fn refused(path: &Path) -> OpenError {
    let before = fs::read(path).unwrap();
    let error = open(path).await.expect_err("it opened");
    assert!(before == fs::read(path).unwrap(), "the file was changed");
    assert!(
        error.to_string().contains(path.file_name().unwrap().to_str().unwrap())
            || matches!(error, OpenError::Newer { .. } | OpenError::Migration { .. })
    );
    error
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.db");
    filled(&path).await;
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a clean stop leaves one file");
    let store = open(&path).await.unwrap();
    assert_eq!(stored_keys(&store).await, [key("key", 1)]);
    assert_eq!(store.clients().await.unwrap().len(), 100);
    assert_eq!(store.change_sequence().await.unwrap().0, 101);
    assert_eq!(ensure_key(&store, &key("other", 2)).await.unwrap(), key("key", 1));
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_kill() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.db");
    let store = open(&path).await.unwrap();
    store.create_client(&client("billing", vec![secret(1, 1, None)])).await.unwrap();
    // The files as they are while the store is open are those that a killed process leaves.
    let left = TempDir::new().unwrap();
    for file in fs::read_dir(folder.path()).unwrap().flatten() {
        fs::copy(file.path(), left.path().join(file.file_name())).unwrap();
    }
    let store = open(&left.path().join("tokend.db")).await.unwrap();
    assert_eq!(store.clients().await.unwrap(), [client("billing", vec![secret(1, 1, None)])]);
}

#[tokio::test]
async fn a_journal_left_by_a_killed_program_is_rolled_back() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.db");
    filled(&path).await;
    // Another program put the file out of WAL mode, and is killed in a transaction that it had partly written.
    let options = SqliteConnectOptions::new().filename(&path).pragma("journal_mode", "DELETE");
    let mut connection = options.pragma("cache_size", "1").connect().await.unwrap();
    let half = "BEGIN IMMEDIATE; UPDATE clients SET settings = settings || '                    '; DELETE FROM client_secrets";
    sqlx::raw_sql(half).execute(&mut connection).await.unwrap();
    let left = TempDir::new().unwrap();
    for file in fs::read_dir(folder.path()).unwrap().flatten() {
        fs::copy(file.path(), left.path().join(file.file_name())).unwrap();
    }
    assert!(left.path().join("tokend.db-journal").exists());
    let store = open(&left.path().join("tokend.db")).await.unwrap();
    let clients = store.clients().await.unwrap();
    assert_eq!(clients.len(), 100);
    assert!(clients.iter().all(|record| record.secrets.len() == 1));
}

#[tokio::test]
async fn the_files_are_their_owners_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.db");
    let store = open(&path).await.unwrap();
    store.create_client(&client("billing", vec![])).await.unwrap();
    store.clients().await.unwrap();
    for name in ["tokend.db", "tokend.db-wal", "tokend.db-shm"] {
        let mode = fs::metadata(folder.path().join(name)).expect(name).mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_name_like_a_uri_is_a_file_name() {
    let folder = TempDir::new().unwrap();
    for name in ["file:x?mode=memory", "a b%20?#.db", "ü'\".db"] {
        let path = folder.path().join(name);
        open(&path).await.unwrap().close().await;
        assert!(path.is_file(), "{name}");
    }
}

#[tokio::test]
async fn an_empty_file_becomes_a_store() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.db");
    fs::write(&path, "").unwrap();
    open(&path).await.unwrap().close().await;
    // A start that was killed before its first migration.
    let path = folder.path().join("begun.db");
    execute(&path, "PRAGMA journal_mode = WAL").await;
    assert!(fs::metadata(&path).unwrap().len() > 0);
    open(&path).await.unwrap().create_client(&client("billing", vec![])).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.db");
    let noise: Vec<u8> =
        (0..20_000_u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for content in [noise.as_slice(), b"x", b"SQLite format 3\0", b"[server]\nport = 1\n"] {
        fs::write(&path, content).unwrap();
        let error = refused(&path).await;
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_truncated_database_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.db");
    filled(&path).await;
    let whole = fs::read(&path).unwrap();
    for length in [whole.len() - 1, whole.len() - 4095, 99, 100, 4096, whole.len() / 2, whole.len() - 4096] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = refused(&path).await;
        assert!(matches!(error, OpenError::Damaged { .. }), "{length}: {error}");
    }
}

#[tokio::test]
async fn a_database_with_a_damaged_page_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.db");
    filled(&path).await;
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() / 4096;
    assert!(pages > 20);
    for page in 0..pages {
        let mut damaged = whole.clone();
        damaged[4096 * page..4096 * (page + 1)].iter_mut().for_each(|byte| *byte = !*byte);
        fs::write(&path, damaged).unwrap();
        let error = refused(&path).await;
        assert!(matches!(error, OpenError::Damaged { .. }), "page {page}: {error}");
    }
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other.db");
    execute(&path, "CREATE TABLE clients (name TEXT); INSERT INTO clients VALUES ('x')").await;
    let error = refused(&path).await;
    assert!(
        matches!(error, OpenError::Damaged { .. }) && error.to_string().contains("another program"),
        "{error}"
    );
    execute(&path, "DROP TABLE clients; PRAGMA application_id = 7").await;
    assert!(matches!(refused(&path).await, OpenError::Damaged { .. }));
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.db");
    filled(&path).await;
    let newer = "INSERT INTO tokend_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9000, 'later', TRUE, x'00', 0)";
    execute(&path, newer).await;
    let error = refused(&path).await;
    assert!(matches!(error, OpenError::Newer { found: 9000, known: 1.. }), "{error}");
}

#[tokio::test]
async fn a_migration_with_another_text_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.db");
    filled(&path).await;
    execute(&path, "UPDATE tokend_migrations SET checksum = x'00'").await;
    let error = refused(&path).await;
    assert!(matches!(error, OpenError::Migration { version: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_read_only_file_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.db");
    filled(&path).await;
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    let error = refused(&path).await;
    assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_read_only_folder_is_refused() {
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("tokend.db");
    // With and without a database in it.
    for there_already in [false, true] {
        fs::set_permissions(&inner, Permissions::from_mode(0o500)).unwrap();
        let error = open(&path).await.unwrap_err();
        assert!(matches!(&error, OpenError::ReadOnly { path, .. } if path.ends_with("inner")), "{error}");
        fs::set_permissions(&inner, Permissions::from_mode(0o700)).unwrap();
        assert_eq!(fs::read_dir(&inner).unwrap().count(), usize::from(there_already));
        if !there_already {
            filled(&path).await;
        }
    }
}

#[tokio::test]
async fn a_wrong_place_is_refused_and_nothing_is_made() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for path in ["missing/tokend.db", "missing/deep/tokend.db", "file/tokend.db", "."] {
        let error = open(&folder.path().join(path)).await.unwrap_err();
        assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
    }
    let error = open(&folder.path().join("missing/tokend.db")).await.unwrap_err().to_string();
    assert!(error.contains("missing") && error.contains("create it first"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_a_new_file_at_once() {
    for _ in 0..5 {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("tokend.db");
        let mut openings = JoinSet::new();
        for number in 0..6 {
            let path = path.clone();
            openings.spawn(async move {
                let store = open(&path).await.unwrap();
                // Stores on one file are like processes on one file: of many keys one wins here too.
                ensure_key(&store, &key(&format!("key-{number}"), 1)).await.unwrap()
            });
        }
        let keys = openings.join_all().await;
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(open(&path).await.unwrap().change_sequence().await.unwrap().0, 1);
    }
}

#[tokio::test]
async fn a_row_that_makes_no_sense_names_its_place() {
    let folder = TempDir::new().unwrap();
    for (sql, place) in [
        ("UPDATE signing_keys SET algorithm = 'XX1'", "signing_keys.algorithm of row `key`"),
        ("UPDATE clients SET settings = '{\"new\": 1}'", "clients.settings of row `billing`"),
        ("UPDATE clients SET settings = '[]'", "clients.settings of row `billing`"),
        (
            "PRAGMA ignore_check_constraints = 1; UPDATE signing_keys SET state = 'old'",
            "signing_keys.state of row `key`",
        ),
        (
            "PRAGMA ignore_check_constraints = 1; UPDATE client_secrets SET digest = x'736563726574'",
            "client_secrets.digest of row `secret-1`",
        ),
        (
            "PRAGMA foreign_keys = 0; UPDATE clients SET client_id = 'Bad'; UPDATE client_secrets SET client_id = 'Bad'",
            "clients.client_id of row `Bad`",
        ),
        ("DELETE FROM change_sequence", "change_sequence.value of row `1`"),
    ] {
        let path = folder.path().join("tokend.db");
        let store = open(&path).await.unwrap();
        ensure_key(&store, &key("key", 1)).await.unwrap();
        store.create_client(&client("billing", vec![secret(1, 1, None)])).await.unwrap();
        store.close().await;
        execute(&path, sql).await;
        let store = open(&path).await.unwrap();
        let results =
            [store.keys().await.err(), store.clients().await.err(), store.change_sequence().await.err()];
        let errors: Vec<_> = results.into_iter().flatten().collect();
        let [error @ StoreError::Corrupt { .. }, rest @ ..] = errors.as_slice() else {
            panic!("{sql}: {errors:?}")
        };
        assert!(rest.iter().all(|other| other.to_string() == error.to_string()), "{sql}: {errors:?}");
        assert!(error.to_string().starts_with(place), "{error}");
        assert!(!format!("{error:?}").contains("sealed"), "{error:?}");
        store.close().await;
        fs::remove_file(&path).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic_or_write(content in prop::collection::vec(any::<u8>(), 1..3000), header: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("tokend.db");
        let prefix: &[u8] = if header { b"SQLite format 3\0\x10\0\x02\x02\0\x40\x20\x20" } else { b"" };
        fs::write(&path, [prefix, &content].concat()).unwrap();
        runtime.block_on(refused(&path));
    }
}

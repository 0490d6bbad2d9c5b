//! Dump and restore with the databases' own programs: nothing is lost, and the restored database opens and takes writes.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use tempfile::TempDir;
use tokend::{
    model::{
        AssertionDigest, ChangeSequence, ClientRecord, KeyChange, KeyRecord, KeySet, KeyState, ReplicaReport,
        RevocationRecord, RevocationTarget,
    },
    store::{self, Location, Store},
};

use crate::{
    postgres::{Database, Server, missing, program},
    store_backends::{at, client, full_settings, id, key, pending, sealing_key, secret},
    store_revocations::{all, revocation, subject},
    store_sessions::{rotation, session, session_id},
    store_users::record,
};

/// Makes the test that needs the `sqlite3` program fail without it.
const REQUIRE: &str = "TOKEND_REQUIRE_SQLITE3";

/// Puts rows into every table; among them keys with and without each of the halves and a revocation.
async fn fill(store: &Store) {
    let keys = [
        KeyRecord { state: KeyState::Retired, sealed: None, ..key("retired", 1) },
        key("active", 2),
        KeyRecord { public: None, ..pending("pending secret", 3) },
    ];
    for key in keys {
        let set = store.keys().await.unwrap();
        assert!(store.change_keys(&KeyChange::of(&set).put(key)).await.unwrap().is_some());
    }
    let mut full = client("full", vec![secret(1, 1, None), secret(2, 2, Some(900))]);
    full.client.settings = full_settings();
    store.create_client(&full).await.unwrap();
    store.create_client(&client("billing", vec![])).await.unwrap();
    store.create_user(&record("u1", "renée")).await.unwrap();
    store.create_session(&session(1, "full", "alice")).await.unwrap();
    assert!(store.rotate_session(&rotation(1, 0, 200)).await.unwrap());
    store.create_session(&session(2, "full", "bob")).await.unwrap();
    store.revoke(&revocation(RevocationTarget::Session(session_id(2)), Some(5000))).await.unwrap();
    store.revoke(&revocation(subject("o'brien", 150), None)).await.unwrap();
    store.ensure_sealing_key(&sealing_key(1, "vault"), None).await.unwrap();
    assert!(store.use_assertion(&assertion(), at(5000), at(1)).await.unwrap());
    let report = ReplicaReport { replica_id: "r1".to_owned(), held: ChangeSequence(3), verifiers: vec![] };
    store.report_replica(&report).await.unwrap();
}

/// What replicas hold in memory, for comparison; what else is stored, the dumps show.
async fn contents(store: &Store) -> (KeySet, Vec<ClientRecord>, Vec<RevocationRecord>) {
    let keys = store.keys().await.unwrap();
    assert_eq!(keys.keys.len(), 3, "a signing key was lost");
    (keys, store.clients().await.unwrap(), all(store).await)
}

/// The guards and the counters hold on, and changes can be made.
async fn check_restored(store: &Store, before: &(KeySet, Vec<ClientRecord>, Vec<RevocationRecord>)) {
    assert_eq!(contents(store).await, *before);
    assert!(!store.use_assertion(&assertion(), at(5000), at(1)).await.unwrap(), "used before");
    let set = store.keys().await.unwrap();
    let second = KeyChange::of(&set).put(key("second active", 5));
    assert!(store.change_keys(&second).await.is_err(), "two active keys of one algorithm");
    let removed = KeyChange::of(&set).remove(&set.get("retired").unwrap().key_id);
    assert!(store.change_keys(&removed).await.unwrap().is_some());
    store.create_client(&client("after", vec![])).await.unwrap();
}

fn assertion() -> AssertionDigest {
    AssertionDigest::of(&id("full"), "assertion")
}

/// What a program writes; it must succeed in silence.
fn succeed(output: Output) -> Vec<u8> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
    output.stdout
}

fn sqlite3(path: &Path, arguments: &[&str], input: Stdio) -> Vec<u8> {
    succeed(Command::new("sqlite3").arg(path).args(arguments).stdin(input).output().unwrap())
}

fn has_sqlite3() -> bool {
    let version = Command::new("sqlite3").arg("-version").output();
    let has = version.is_ok_and(|output| output.status.success());
    if !has {
        let what = "NOT RUN: this test needs the `sqlite3` program (Debian: `apt install sqlite3`)";
        assert!(std::env::var_os(REQUIRE).is_none_or(|value| value != "1"), "{what}");
        // Past the capture of test output: written to the file, not through `eprintln!`.
        let _ = writeln!(std::io::stderr(), "store_dump: {what}");
    }
    has
}

async fn open(path: &Path) -> Arc<Store> {
    store::open(&Location::Sqlite(path.to_owned())).await.unwrap()
}

#[tokio::test]
async fn a_sqlite_file_is_dumped_and_restored() {
    if !has_sqlite3() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let store = open(&at("tokend.db")).await;
    fill(&store).await;
    let before = contents(&store).await;
    // While the store is open, as a backup is made.
    fs::write(at("dump.sql"), sqlite3(&at("tokend.db"), &[".dump"], Stdio::null())).unwrap();
    let copy = format!(".backup '{}'", at("copy.db").display());
    sqlite3(&at("tokend.db"), &[&copy], Stdio::null());
    store.close().await;

    assert_eq!(sqlite3(&at("restored.db"), &["-bail"], File::open(at("dump.sql")).unwrap().into()), b"");
    for restored in ["restored.db", "copy.db"] {
        let again = sqlite3(&at(restored), &[".dump"], Stdio::null());
        assert!(again == fs::read(at("dump.sql")).unwrap(), "{restored} differs from what was dumped");
        let store = open(&at(restored)).await;
        check_restored(&store, &before).await;
        store.close().await;
        // A dump leaves the mark of the file out; the first start sets it again.
        let id = sqlite3(&at(restored), &["PRAGMA application_id"], Stdio::null());
        assert_eq!(String::from_utf8(id).unwrap().trim(), "1953459044", "{restored}");
        open(&at(restored)).await.close().await;
    }
}

/// A database as text, without the lines that hold a fresh random number.
fn pg_text(pg_dump: &Path, database: &Database) -> Vec<String> {
    let text = succeed(Command::new(pg_dump).arg(database.url.as_str()).output().unwrap());
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<String> =
        text.lines().filter(|line| !line.contains("restrict ")).map(str::to_owned).collect();
    assert!(lines.iter().any(|line| line.starts_with("COPY public.signing_keys")));
    lines
}

#[tokio::test]
async fn a_postgres_database_is_dumped_and_restored() {
    let Some(server) = tokio::task::spawn_blocking(Server::start).await.unwrap() else {
        return missing();
    };
    let programs = ["pg_dump", "pg_restore", "psql"].map(program);
    let [Some(pg_dump), Some(pg_restore), Some(psql)] = programs else { return missing() };
    let maintenance = server.url("postgres");
    let database = Database::create_at(&maintenance).await;
    let store = store::open(&database.url.as_str().parse().unwrap()).await.unwrap();
    fill(&store).await;
    let before = contents(&store).await;
    let folder = TempDir::new().unwrap();
    for format in ["plain", "custom"] {
        let file = folder.path().join(format);
        let into = format!("--file={}", file.display());
        let mut dump = Command::new(&pg_dump);
        succeed(
            dump.arg(format!("--format={format}")).arg(into).arg(database.url.as_str()).output().unwrap(),
        );
        let fresh = Database::create_at(&maintenance).await;
        let mut restore = match format {
            "plain" => Command::new(&psql),
            _ => Command::new(&pg_restore),
        };
        let restore = match format {
            "plain" => restore.args(["-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&file).arg(fresh.url.as_str()),
            _ => restore.args(["--exit-on-error", "-d", fresh.url.as_str()]).arg(&file),
        };
        succeed(restore.output().unwrap());
        assert_eq!(pg_text(&pg_dump, &fresh), pg_text(&pg_dump, &database));
        let store = store::open(&fresh.url.as_str().parse().unwrap()).await.unwrap();
        check_restored(&store, &before).await;
        store.close().await;
    }
    store.close().await;
}

//! `tokend backup` and `tokend restore`: what is copied, what is refused, and that no revoked token comes back unasked.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, process::Output};

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::process::{Serve, init, run, stderr, stdout, tokend};

const SETTINGS: [&str; 3] = ["--config", "tokend.toml", "--allow-plaintext"];

fn operate(folder: &Path, command: &[&str]) -> Output {
    run(folder, &[command, &SETTINGS].concat())
}

#[track_caller]
fn refused(output: &Output, code: i32, text: &str) {
    assert!(
        output.status.code() == Some(code) && stderr(output).contains(text),
        "{text}: {}",
        stderr(output)
    );
}

fn serve(folder: &Path) -> Serve {
    Serve::start(folder, &["--allow-plaintext", "--drain-delay", "0s", "--log-format", "json"])
}

/// A command at the server with this secret.
fn call(folder: &Path, server: &Serve, secret: &str, arguments: &[&str]) -> Output {
    let mut command = tokend(folder, arguments);
    command.env("TOKEND_ADDR", format!("http://{}", server.grpc)).env("TOKEND_CLIENT_SECRET", secret);
    command.output().unwrap()
}

#[track_caller]
fn called(folder: &Path, server: &Serve, secret: &str, arguments: &[&str]) -> String {
    let output = call(folder, server, secret, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output).to_owned()
}

async fn execute(path: &Path, sql: &'static str) {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[test]
fn tokens_that_were_revoked_after_the_backup_stay_rejected_unless_chosen() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let admin = init(folder);
    let server = serve(folder);
    let create = [
        "client",
        "create",
        "web",
        "--method",
        "TokenService/*",
        "--audience",
        "orders",
        "--verify-audience",
    ];
    let web = called(folder, &server, &admin, &[&create[..], &["orders"]].concat());
    let issue = ["token", "issue", "--audience", "orders"];
    let revoked = called(folder, &server, &web, &issue);
    // While the server runs. Only the owner can read the file, which is never overwritten.
    let made = operate(folder, &["backup", "monday.db"]);
    assert!(made.status.success(), "{}", stderr(&made));
    assert_eq!(fs::metadata(folder.join("monday.db")).unwrap().mode() & 0o777, 0o600);
    refused(&operate(folder, &["backup", "monday.db"]), 1, "monday.db exists already and is not overwritten");
    called(folder, &server, &admin, &["client", "create", "later"]);
    called(folder, &server, &web, &["token", "revoke", &revoked]);
    let verify = |server: &Serve, token: &str| {
        call(folder, server, &web, &["token", "verify", "--audience", "orders", token])
    };
    refused(&verify(&server, &revoked), 1, "TOKEN_REVOKED");
    // A server that runs keeps its store, and so does one that is not told to replace it.
    refused(&operate(folder, &["restore", "monday.db"]), 1, "exists: give --replace");
    refused(
        &operate(folder, &["restore", "monday.db", "--replace"]),
        1,
        "is in use by another process: stop the server",
    );
    assert_eq!(server.stop().code, Some(0));

    let restored = operate(folder, &["restore", "monday.db", "--replace"]);
    assert!(restored.status.success(), "{}", stderr(&restored));
    for text in ["moved away: ", "restored ", "are rejected, and sessions that began before it have ended"] {
        assert!(stderr(&restored).contains(text), "{text}: {}", stderr(&restored));
    }
    assert_eq!(fs::metadata(folder.join("tokend.db")).unwrap().mode() & 0o777, 0o600);
    let server = serve(folder);
    refused(&verify(&server, &revoked), 1, "TOKEN_REVOKED");
    refused(&call(folder, &server, &admin, &["client", "show", "later"]), 1, "NOT_FOUND");
    assert_eq!(server.stop().code, Some(0));

    // Nothing remains of the attempts but the stores that were replaced.
    let restored = operate(folder, &["restore", "monday.db", "--replace", "--keep-tokens"]);
    assert!(restored.status.success(), "{}", stderr(&restored));
    assert!(stderr(&restored).contains("that were revoked after the backup was made are valid again"));
    let server = serve(folder);
    assert!(verify(&server, &revoked).status.success());
    assert_eq!(server.stop().code, Some(0));
    let left = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = left.filter(|name| name.starts_with('.') && name.contains("restore")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn only_a_sound_backup_with_the_right_sealing_key_is_restored() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    init(folder);
    assert!(operate(folder, &["backup", "good.db"]).status.success());
    let store = fs::read(folder.join("tokend.db")).unwrap();
    let restore = |file: &str| operate(folder, &["restore", file, "--replace"]);
    refused(&restore("none.db"), 1, "none.db does not exist or is empty");
    fs::write(folder.join("text.db"), "no database".repeat(99)).unwrap();
    refused(&restore("text.db"), 1, "text.db is not a sound SQLite database");
    fs::write(folder.join("half.db"), &fs::read(folder.join("good.db")).unwrap()[..20_480]).unwrap();
    refused(&restore("half.db"), 1, "half.db is not a sound SQLite database");
    for (name, sql, text) in [
        ("other.db", "PRAGMA application_id = 7", "it is the database of another program"),
        (
            "newer.db",
            "INSERT INTO tokend_migrations (version, description, success, checksum, execution_time) VALUES (9000, 'later', TRUE, x'00', 0)",
            "schema version 9000",
        ),
    ] {
        fs::copy(folder.join("good.db"), folder.join(name)).unwrap();
        execute(&folder.join(name), sql).await;
        refused(&restore(name), 1, text);
    }
    fs::copy(folder.join("good.db"), folder.join("copied.db")).unwrap();
    fs::write(folder.join("copied.db-wal"), "changes").unwrap();
    refused(&restore("copied.db"), 1, "copied.db-wal belongs to it");
    let key = fs::read(folder.join("sealing.key")).unwrap();
    fs::write(folder.join("sealing.key"), format!("{}\n", "A".repeat(43))).unwrap();
    refused(&restore("good.db"), 1, "`sealing_key`");
    fs::write(folder.join("sealing.key"), key).unwrap();
    assert!(store == fs::read(folder.join("tokend.db")).unwrap(), "the store was changed");
    // A server does not open a backup in place of the store; nor does the command put a file beside a former log of changes.
    refused(
        &operate(folder, &["serve", "--store", "sqlite:good.db"]),
        1,
        "good.db is a backup, which lacks later revocations",
    );
    fs::remove_file(folder.join("tokend.db")).unwrap();
    fs::write(folder.join("tokend.db-wal"), "of the former database").unwrap();
    let restored = operate(folder, &["restore", "good.db"]);
    assert!(
        restored.status.success() && stderr(&restored).contains("tokend.db-wal.replaced-"),
        "{}",
        stderr(&restored)
    );
    assert!(!folder.join("tokend.db-wal").exists());
    assert_eq!(serve(folder).stop().code, Some(0));
}

#[test]
fn postgresql_is_backed_up_with_its_own_programs() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let store = "postgres://tokend:hunter2@db.internal/tokend";
    for (command, text) in [("backup", "pg_dump --format=custom"), ("restore", "pg_restore --dbname")] {
        let output = operate(folder.path(), &[command, "file", "--store", store]);
        refused(&output, 2, text);
        assert!(!stderr(&output).contains("hunter2"), "{}", stderr(&output));
    }
}

#[tokio::test]
async fn a_log_of_changes_that_belongs_to_a_former_database_is_named() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    init(folder);
    let path = folder.join("tokend.db");
    let backup = fs::read(&path).unwrap();
    // The former database with a log of changes, as a killed server leaves it; then the operator copies the backup over it.
    let options = SqliteConnectOptions::new().filename(&path).pragma("wal_autocheckpoint", "0");
    let mut former = options.connect().await.unwrap();
    sqlx::raw_sql("CREATE TABLE filler (x); INSERT INTO filler SELECT randomblob(3000) FROM clients, clients; DROP TABLE users;")
        .execute(&mut former)
        .await
        .unwrap();
    for _ in 0..3 {
        sqlx::raw_sql("INSERT INTO filler SELECT randomblob(30000) FROM clients")
            .execute(&mut former)
            .await
            .unwrap();
    }
    let log = fs::read(folder.join("tokend.db-wal")).unwrap();
    former.close().await.unwrap();
    fs::write(&path, &backup[..backup.len() - 8192]).unwrap();
    fs::write(folder.join("tokend.db-wal"), log).unwrap();
    let output = operate(folder, &["serve"]);
    refused(&output, 1, "the file `-wal` beside it may belong to a former database");
}

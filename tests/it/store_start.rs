//! PostgreSQL that is not up yet, or never will be: which problems a start waits for.

use std::{
    fs, io::Write as _, num::NonZeroU32, os::unix::fs::PermissionsExt as _, process::Command, time::Duration,
};

use tempfile::TempDir;
use tokend::{
    database::DatabaseLocation,
    store::{self, Location, OpenError, OpenOptions},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    postgres::{Database, Server, as_unprivileged, missing, program},
    process::{FREE_PORTS, Serve, Watched, run, stderr},
};

const LONG: Duration = Duration::from_secs(3600);

/// Answers each connection with the next of these error codes, and counts them.
async fn refusing(codes: &'static [&'static str]) -> (DatabaseLocation, tokio::task::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://app:hunter2@{}/d?sslmode=disable", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        for code in codes {
            let (mut stream, _) = listener.accept().await.unwrap();
            let length = stream.read_u32().await.unwrap();
            stream.read_exact(&mut vec![0; length as usize - 4]).await.unwrap();
            let fields = format!("SFATAL\0VFATAL\0C{code}\0Mtold {code}\0\0");
            stream.write_all(b"E").await.unwrap();
            stream.write_u32(u32::try_from(fields.len()).unwrap() + 4).await.unwrap();
            stream.write_all(fields.as_bytes()).await.unwrap();
        }
        codes.len()
    });
    (DatabaseLocation::parse(&url).unwrap(), task)
}

#[tokio::test]
async fn only_what_waiting_can_cure_is_retried() {
    // Starting up, then no free connection, then a wrong password, for which no one waits.
    let (location, task) = refusing(&["57P03", "53300", "28P01"]).await;
    let error = store::open(&Location::Postgres(location.connect_for(LONG))).await.unwrap_err();
    assert!(error.to_string().contains("the server refuses user or password (28P01)"), "{error}");
    assert_eq!(task.await.unwrap(), 3);
    // An unknown database, a role that may not log in, and one without rights.
    for code in ["3D000", "28000", "42501"] {
        let codes: &'static [&'static str] = vec![code].leak();
        let (location, task) = refusing(codes).await;
        let error = store::open(&Location::Postgres(location.connect_for(LONG))).await.unwrap_err();
        assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
        assert_eq!(task.await.unwrap(), 1);
    }
    let (location, _task) = refusing(&["53300"]).await;
    let error = store::open(&Location::Postgres(location)).await.unwrap_err().to_string();
    assert!(
        error.contains("has no free connection (53300)") && error.contains("store_connections"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_or_with_an_unknown_certificate_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://app@{}/d?sslmode=require", listener.local_addr().unwrap());
    let location = DatabaseLocation::parse(&url).unwrap().connect_for(LONG);
    let refusing = tokio::spawn(async move {
        // No TLS; then a TLS handshake that is none.
        for reply in [&b"N"[..], b"Snot a handshake of TLS at all"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 8];
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(reply).await.unwrap();
        }
    });
    for _ in 0..2 {
        let error = store::open(&Location::Postgres(location.clone())).await.unwrap_err();
        assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    }
    refusing.await.unwrap();
}

#[test]
fn serve_starts_when_the_database_does_and_says_what_it_waits_for() {
    let Some(mut server) = Server::start_durable() else { return missing() };
    let folder = TempDir::new().unwrap();
    let url = server.url("postgres").to_string();
    let arguments = ["init", "--issuer", "https://id.example.com", "--store", &url];
    let made = run(folder.path(), &arguments);
    assert!(made.status.success(), "{}", stderr(&made));
    server.stop();
    let settings = ["--allow-plaintext", "--drain-delay", "0s", "--log-format", "json"];
    // Audit events in the same database: it waits for that, too.
    let audited = [&settings[..], &["--audit-sinks", "postgres", "--audit-mode", "required"]].concat();
    for settings in [&settings[..], &audited] {
        let arguments = [&["serve", "--config", "tokend.toml"], &FREE_PORTS[..], settings].concat();
        let mut process = Watched::start(folder.path(), &arguments);
        let waiting = process.logged("the database cannot be reached");
        assert!(waiting["problem"].as_str().unwrap().contains("No such file"), "{waiting}");
        server.resume();
        process.logged("serving");
        process.running.signal("-TERM");
        assert_eq!(process.ended().code, Some(0));
        server.stop();
    }
    let arguments =
        [&["serve", "--config", "tokend.toml", "--store-connect-timeout", "1ms"], &FREE_PORTS[..], &settings]
            .concat();
    let ended = Watched::start(folder.path(), &arguments).ended();
    // On a busy machine the first attempt takes longer than the timeout, and none follows.
    assert!(ended.code == Some(1) && ended.stderr.len() <= 2, "{ended:#?}");
    assert!(ended.stderr.last().unwrap().contains("cannot be reached: "), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_a_free_connection_names_the_setting() {
    let Some(server) = Server::start() else { return missing() };
    let database = Database::create_at(&server.url("postgres")).await;
    let location: Location = database.url.as_str().parse().unwrap();
    let options = OpenOptions { connections: NonZeroU32::MIN, ..OpenOptions::CREATE };
    let store = store::open_with(&location, &options).await.unwrap();
    store.clients().await.unwrap();
    // Nothing answers: one action holds the only connection, the other waits for it.
    server.freeze();
    let (one, other) = tokio::join!(store.clients(), store.clients());
    let texts = [one.unwrap_err().to_string(), other.unwrap_err().to_string()];
    let wanted = "the store is unavailable: all 1 connections are in use: raise store_connections";
    assert!(texts.iter().any(|text| text == wanted), "{texts:#?}");
    server.thaw();
}

#[test]
fn a_pooler_that_shares_connections_is_refused_by_name() {
    let Some(server) = Server::start() else { return missing() };
    let programs = [program("pgbouncer"), Some("/usr/sbin/pgbouncer".into())];
    let Some(pgbouncer) = programs.into_iter().flatten().find(|path| path.is_file()) else {
        // Past the capture of test output.
        let what = "NOT RUN: this test needs PgBouncer (Debian: `apt install pgbouncer`)";
        return drop(writeln!(std::io::stderr(), "{what}"));
    };
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    for (mode, is_refused) in [("transaction", true), ("statement", true), ("session", false)] {
        let sockets = TempDir::new().unwrap();
        let config = format!(
            "[databases]\npostgres = host={} user=tokend\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = {}\nauth_type = any\n\
             pool_mode = {mode}\nignore_startup_parameters = extra_float_digits\n",
            server.folder().display(),
            sockets.path().display()
        );
        let file = folder.path().join(format!("{mode}.ini"));
        fs::write(&file, config).unwrap();
        let mut command = Command::new(&pgbouncer);
        command.arg(&file);
        as_unprivileged(&mut command, sockets.path());
        let mut pooler = Watched::of(command);
        pooler.stderr.until(|line| line.contains("process up"));
        let store = format!("postgres://tokend@localhost:6432/postgres?host={}", sockets.path().display());
        let place = TempDir::new().unwrap();
        let made = run(place.path(), &["init", "--issuer", "https://id.example.com", "--store", &store]);
        if is_refused {
            assert_eq!(made.status.code(), Some(1), "{mode}");
            assert!(stderr(&made).contains("set its pool_mode to session"), "{mode}: {}", stderr(&made));
        } else {
            assert!(made.status.success(), "{mode}: {}", stderr(&made));
            let settings = ["--allow-plaintext", "--drain-delay", "0s", "--log-format", "json"];
            let served = Serve::start(place.path(), &settings);
            assert_eq!(served.stop().code, Some(0));
        }
    }
}

//! Readiness while a server stops, and how long stopping takes.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokend::model::ClientSecret;
use tonic::Code;

use crate::{
    harness::{TestClient, refused},
    process::{Serve, init, run, stderr},
};

#[test]
fn a_draining_server_is_not_ready() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let mut server = Serve::start(folder.path(), &["--allow-plaintext", "--drain-delay", "5m"]);
    let http = server.http.to_string();
    let check = || run(folder.path(), &["healthcheck", "--http-addr", &http]);
    assert_eq!(check().status.code(), Some(0), "{}", stderr(&check()));

    server.process.running.signal("-TERM");
    server.process.logged("stopping: not ready");
    let draining = check();
    assert_eq!(draining.status.code(), Some(1));
    assert!(stderr(&draining).contains("not ready: 503"), "{}", stderr(&draining));
    drop(server);
    let gone = check();
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).starts_with(&format!("error: {http}: ")), "{}", stderr(&gone));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn idle_connections_do_not_hold_up_a_stop() {
    let folder = TempDir::new().unwrap();
    let secret = init(folder.path());
    let settings =
        ["--allow-plaintext", "--drain-delay", "0s", "--drain-timeout", "5m", "--handshake-timeout", "1s"];
    let server = Serve::start(folder.path(), &[&settings[..], &["--audit-mode", "off"]].concat());

    // One that has been used, one that stopped after the preface of HTTP/2, one that never said a word, on each port.
    let client = TestClient::new(server.grpc, Some(ClientSecret::from_text(secret))).await;
    assert_eq!(refused(client.issue(crate::harness::for_alice()).await).code(), Code::PermissionDenied);
    let mut begun = TcpStream::connect(server.grpc).unwrap();
    begun.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let silent = [server.grpc, server.http].map(|address| TcpStream::connect(address).unwrap());

    let told = Instant::now();
    let ended = server.stop();
    assert_eq!((ended.code, ended.stdout.len()), (Some(0), 0), "{ended:#?}");
    assert!(ended.stderr.iter().any(|line| line.contains("\"stopped\"")), "{ended:#?}");
    assert!(told.elapsed() < Duration::from_secs(60), "{:?}", told.elapsed());
    drop((client, begun, silent));
}

#[test]
fn a_connection_that_says_too_little_is_closed() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let settings = ["--allow-plaintext", "--handshake-timeout", "500ms"];
    let server = Serve::start(folder.path(), &settings);
    for (address, words) in [
        (server.grpc, ""),
        (server.grpc, "PRI * HTTP/2.0\r\n\r\nSM"),
        (server.http, ""),
        (server.http, "GET /"),
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(words.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let ended = stream.read_to_end(&mut Vec::new());
        assert!(
            ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset),
            "{words}"
        );
    }
}

//! A process that may open few files: connections beyond what they allow are closed, and the rest is served.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use tempfile::TempDir;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::process::{Serve, entry, init, run, stderr, tokend};

/// The cap that was wanted, by default, and those that a limit of 256 files leaves (`src/listen/descriptors.rs`).
const WANTED: usize = 4096;
const GRPC: usize = 120;
const HTTP: usize = 40;

/// More than the limit of files.
const BEYOND: usize = 300;

/// A connection if the server keeps it: then it says something once it was told `greeting`. One that is too many it closes
/// without a word.
fn kept(address: SocketAddr, greeting: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    // Only a server that leaves connections waiting meets it.
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // It may be closed already.
    let _ = stream.write_all(greeting);
    match stream.read(&mut [0]) {
        Ok(length) => (length > 0).then_some(stream),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
        Err(error) => panic!("neither kept nor closed: {error}"),
    }
}

/// Takes so many places; those that were given up before may take a moment to be free.
fn fill(address: SocketAddr, places: usize, greeting: &[u8]) -> Vec<TcpStream> {
    let tries = (0..10_000).filter_map(|_| kept(address, greeting));
    let held: Vec<_> = tries.take(places).collect();
    assert_eq!(held.len(), places, "{address}");
    held
}

/// How many of so many more are kept.
fn kept_beyond(address: SocketAddr, greeting: &[u8]) -> usize {
    (0..BEYOND).filter_map(|_| kept(address, greeting)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_of_files_are_closed_and_calls_are_served() {
    let folder = TempDir::new().unwrap();
    let admin = init(folder.path());
    let arguments = ["--allow-plaintext", "true", "--drain-delay", "0s", "--handshake-timeout", "5m"];
    // One source, as here all are, may have every place.
    let one_source = ["--max-connections-per-source", "4096"];
    let server = Serve::limited(folder.path(), 256, &[&arguments[..], &one_source].concat());
    let warned: Vec<_> = server.process.stderr.seen.iter().map(|line| entry(line)).collect();
    let warned = warned.iter().find(|entry| entry["level"] == "WARN").expect("a warning before it serves");
    let number = |name: &str| usize::try_from(warned[name].as_u64().unwrap()).unwrap();
    assert_eq!((number("max_connections"), number("grpc"), number("http")), (WANTED, GRPC, HTTP));
    let message = warned["message"].as_str().unwrap();
    assert!(message.contains("ulimit -n") && message.contains("max_connections"), "{message}");

    let channel = Channel::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await.unwrap();
    let mut caller = HealthClient::new(channel);
    let get = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    // Each round all places are taken, far more are asked for, and all are given up again.
    for _ in 0..2 {
        let held = fill(server.grpc, GRPC - 1, b"");
        assert_eq!(kept_beyond(server.grpc, b""), 0);
        caller.check(HealthCheckRequest::default()).await.unwrap();
        let held_http = fill(server.http, HTTP, get);
        assert_eq!(kept_beyond(server.http, get), 0);
        caller.check(HealthCheckRequest::default()).await.unwrap();
        drop((held, held_http));
    }

    // There are places again, and files to write the store with.
    drop(fill(server.grpc, 1, b""));
    let address = server.grpc.to_string();
    let create = ["client", "create", "orders", "--addr", &address];
    let made = tokend(folder.path(), &create).env("TOKEND_CLIENT_SECRET", &admin).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    drop(fill(server.http, 1, get));
    let health = run(folder.path(), &["healthcheck", "--http-addr", &server.http.to_string()]);
    assert_eq!(health.status.code(), Some(0), "{}", stderr(&health));
    assert_eq!(server.stop().code, Some(0));

    // By default it has a quarter of them, as of more.
    let server = Serve::limited(folder.path(), 256, &arguments);
    let held = fill(server.grpc, GRPC / 4, b"");
    assert_eq!(kept_beyond(server.grpc, b""), 0);
    drop(held);
    assert_eq!(server.stop().code, Some(0));
}

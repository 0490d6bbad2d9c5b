//! How many connections there may be, and how long they live.

use std::time::Duration;

use tokend::{
    listen::{ConnectionLimits, Lifetime},
    proto::v1,
    server::Settings,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    counting_store::CountingStore,
    frames::Frames,
    harness::{TestClient, TestServer, accepted, settings},
    tls_harness::{Files, TestAuthority, tls_client, tls_server},
};

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(100);

fn living(idle_timeout: Duration, max_age: Duration, grace: Duration) -> impl FnOnce(&mut Settings) {
    move |settings| settings.serving.connections.lifetime = Lifetime { idle_timeout, max_age, grace }
}

#[tokio::test]
async fn a_connection_on_which_nothing_goes_on_is_closed_with_a_word() {
    let server = TestServer::with(living(SOON, HOUR, HOUR)).await;
    let mut idle = Frames::connect(server.grpc, &[]).await;
    assert!(idle.round_trip().await);
    // GOAWAY without an error, twice: the first says that there will be a last stream, the second which.
    assert_eq!(idle.end().await, [0, 0]);
    // Who comes back is served.
    server.root.token().await;
}

#[tokio::test]
async fn an_old_connection_is_closed_with_a_word_and_its_calls_are_finished() {
    let mut settings = settings();
    living(HOUR, SOON, HOUR)(&mut settings);
    let (server, store) = CountingStore::serve(settings).await;
    store.hold();
    let root = server.root.clone();
    let waiting = tokio::spawn(async move {
        let request = root.request(v1::ListClientsRequest::default());
        root.clients().list_clients(request).await
    });
    store.call_arrived().await;
    // One that was opened later has ended: so the older one's end was announced before.
    let mut other = Frames::connect(server.grpc, &[]).await;
    assert_eq!(other.end().await, [0, 0]);
    assert!(!waiting.is_finished());
    store.release();
    accepted(waiting.await.unwrap());
}

#[tokio::test]
async fn a_call_without_an_end_does_not_keep_an_old_connection() {
    let server = TestServer::with(living(HOUR, SOON, SOON)).await;
    let watcher = TestClient::new(server.grpc, None).await;
    let request = v1::WatchTrustBundleRequest::default();
    let mut watch =
        watcher.trust().watch_trust_bundle(tokio_stream::once(request)).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().is_some());
    while let Ok(Some(_)) = watch.message().await {}
}

fn limited(total: usize, per_source: usize) -> impl FnOnce(&mut Settings) {
    move |settings| settings.serving.grpc_connections = ConnectionLimits { total, per_source }
}

/// Connects once more, and answers whether the server keeps the connection.
async fn is_kept(server: &TestServer) -> bool {
    let mut one_more = Frames::connect(server.grpc, &[]).await;
    one_more.round_trip().await
}

#[tokio::test]
async fn a_connection_too_many_is_closed_at_once_and_the_others_go_on() {
    for (change, reason) in [(limited(3, 100), "full"), (limited(100, 3), "source_full")] {
        // The root client has one.
        let server = TestServer::with(change).await;
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(Frames::connect(server.grpc, &[]).await);
            assert!(held.last_mut().unwrap().round_trip().await);
        }
        assert!(!is_kept(&server).await, "{reason}");
        server.root.token().await;
        let metrics = server.get("/metrics").await.2;
        let refused = format!("tokend_connections_refused_total{{port=\"grpc\",reason=\"{reason}\"}} 1");
        assert!(metrics.contains(&refused), "{metrics}");
        assert!(metrics.contains("tokend_connections{port=\"grpc\"} 3"), "{metrics}");
        drop(held);
        while !is_kept(&server).await {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn who_does_not_greet_or_shake_hands_loses_the_place() {
    let quick = |settings: &mut Settings| {
        settings.serving.handshake_timeout = SOON;
        settings.serving.grpc_connections = ConnectionLimits { total: 6, per_source: 6 };
    };
    let authority = TestAuthority::new();
    let files = Files::new(&authority);
    for server in [TestServer::with(quick).await, tls_server(&authority, &files, quick).await] {
        let mut silent = Vec::new();
        for _ in 0..5 {
            silent.push(TcpStream::connect(server.grpc).await.unwrap());
        }
        for mut stream in silent {
            // A reset is an end as well.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        server.root.token().await;
    }
    let server = tls_server(&authority, &files, |_| {}).await;
    tls_client(&server, &authority, None, server.root.secret.clone()).await.token().await;
}

#[tokio::test]
async fn who_asks_for_documents_and_reads_none_loses_the_place() {
    let server = TestServer::with(|settings| settings.serving.handshake_timeout = SOON).await;
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    // First its answers have no room any more, then its questions; and then it is closed.
    let asking =
        async { while stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("closed before that");
}

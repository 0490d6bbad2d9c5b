//! Stopping: not ready first, then no new call, then no call at all.

use std::{sync::Arc, time::Duration};

use tokend::proto::v1;
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    counting_store::CountingStore,
    harness::{TestServer, accepted, assert_refused, settings},
    tls_harness::{Files, TestAuthority, tls_server},
};

/// A call that waits in the store until the store is released.
fn waiting_call(server: &TestServer) -> tokio::task::JoinHandle<Result<(), Status>> {
    let root = server.root.clone();
    tokio::spawn(async move {
        let request = root.request(v1::ListClientsRequest::default());
        root.clients().list_clients(request).await.map(|_| ())
    })
}

async fn held_server(drain_timeout: Duration, drain_delay: Duration) -> (TestServer, Arc<CountingStore>) {
    let mut settings = settings();
    settings.serving.drain_timeout = drain_timeout;
    settings.serving.drain_delay = drain_delay;
    let (server, store) = CountingStore::serve(settings).await;
    store.hold();
    (server, store)
}

#[tokio::test]
async fn calls_that_are_being_served_are_finished() {
    let (mut server, store) = held_server(Duration::from_secs(60), Duration::ZERO).await;
    let call = waiting_call(&server);
    store.call_arrived().await;
    server.begin_stop();
    // New connections are refused as soon as the drain has begun.
    while tokio::net::TcpStream::connect(server.grpc).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished());
    store.release();
    accepted(call.await.unwrap());
    server.stopped().await;
}

#[tokio::test]
async fn a_call_that_does_not_end_is_answered_when_the_drain_does() {
    let (mut server, store) = held_server(Duration::from_millis(50), Duration::ZERO).await;
    let call = waiting_call(&server);
    store.call_arrived().await;
    server.begin_stop();
    assert_refused(call.await.unwrap(), Code::Unavailable, "SHUTTING_DOWN");
    store.release();
    server.stopped().await;
}

#[tokio::test]
async fn balancers_see_it_before_callers_do() {
    // The test reads the log instead of waiting for the delay.
    let (mut server, store) = held_server(Duration::from_secs(60), Duration::from_secs(2)).await;
    store.release();
    let mut health = HealthClient::new(server.root.channel.clone());
    let mut watched = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    server.begin_stop();
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    while server.get("/readyz").await.0 != 503 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.get("/livez").await.0, 200);
    // Calls are still served meanwhile.
    let token = server.root.token().await;
    accepted(server.root.check(&token).await);
    drop(watched);
    server.stopped().await;
}

#[tokio::test]
async fn the_drain_does_not_wait_for_incomplete_handshakes() {
    let authority = TestAuthority::new();
    let files = Files::new(&authority);
    let day = Duration::from_secs(86_400);
    let mut server = tls_server(&authority, &files, |settings| {
        (settings.serving.handshake_timeout, settings.serving.drain_timeout) = (day, day);
    })
    .await;
    let silent = tokio::net::TcpStream::connect(server.grpc).await.unwrap();
    while !server.get("/metrics").await.2.contains("tokend_connections{port=\"grpc\"} 2") {}
    server.begin_stop();
    server.stopped().await;
    drop(silent);
}

#[tokio::test]
async fn the_drain_does_not_wait_for_idle_connections() {
    let day = Duration::from_secs(86_400);
    let mut server = TestServer::with(|settings| {
        (settings.serving.handshake_timeout, settings.serving.drain_timeout) = (day, day);
    })
    .await;
    // One that answers no ping, and one whose request has no end.
    let silent = crate::frames::Frames::connect(server.grpc, &[]).await;
    let mut half = tokio::net::TcpStream::connect(server.http).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut half, b"GET /livez HTTP/1.1\r\nho").await.unwrap();
    while !server.get("/metrics").await.2.contains("tokend_connections{port=\"grpc\"} 2") {}
    server.begin_stop();
    server.stopped().await;
    drop((silent, half));
}

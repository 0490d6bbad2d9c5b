//! Readiness: whether a replica can do its job, and if not, why, for HTTP probes and for gRPC health alike.

use std::{fs, time::Duration};

use tempfile::TempDir;
use tokend::{audit::AuditMode, server::Settings};
use tonic::{Code, Streaming};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus::{self, NotServing, Serving},
    health_client::HealthClient,
};

use crate::{
    audit::to_file,
    counting_store::CountingStore,
    harness::{TestServer, accepted, assert_refused, for_alice, settings},
};

/// Verifications fail when the store could not be read for more than five minutes.
const fn strict(settings: &mut Settings) {
    settings.revocations.staleness_bound = Duration::from_secs(300);
    settings.revocations.serve_stale = false;
}

/// What `/readyz` returns, and health for the server as a whole and for one service.
async fn told(server: &TestServer) -> (u16, String, [ServingStatus; 2]) {
    let (status, _, body) = server.get("/readyz").await;
    let mut health = Vec::new();
    for service in ["", "tokend.v1.TokenService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = HealthClient::new(server.root.channel.clone()).check(request).await;
        health.push(accepted(answer).into_inner().status());
    }
    (status, body, [health[0], health[1]])
}

async fn next(watch: &mut Streaming<HealthCheckResponse>) -> ServingStatus {
    watch.message().await.unwrap().unwrap().status()
}

const STALE: &str =
    "STATE_STALE: the revocations have not been read from the store for longer than staleness_bound\n";

#[tokio::test]
async fn a_replica_whose_state_is_stale_is_not_ready_until_the_store_is_read_again() {
    let mut settings = settings();
    strict(&mut settings);
    let (server, store) = CountingStore::serve(settings).await;
    let token = server.root.token().await;
    let mut health = HealthClient::new(server.root.channel.clone());
    let mut watch = accepted(health.watch(HealthCheckRequest::default()).await).into_inner();
    assert_eq!(next(&mut watch).await, Serving);

    // Within the bound, tokens are verified from memory.
    store.set_down(true);
    server.clock.advance(300);
    server.rounds.make().await.unwrap_err();
    assert_eq!(told(&server).await, (200, "ok\n".to_owned(), [Serving; 2]));
    accepted(server.root.check(&token).await);

    server.clock.advance(1);
    server.rounds.make().await.unwrap_err();
    assert_refused(server.root.check(&token).await, Code::Unavailable, "STATE_STALE");
    assert_eq!(told(&server).await, (503, STALE.to_owned(), [NotServing; 2]));
    assert_eq!(next(&mut watch).await, NotServing);
    assert_eq!(server.get("/livez").await.0, 200, "a restart would not help");

    // Further rounds that fail send watches nothing.
    server.rounds.make().await.unwrap_err();
    store.set_down(false);
    server.rounds.make().await.unwrap();
    accepted(server.root.check(&token).await);
    assert_eq!(told(&server).await, (200, "ok\n".to_owned(), [Serving; 2]));
    assert_eq!(next(&mut watch).await, Serving);
}

#[tokio::test]
async fn an_operator_may_keep_a_replica_in_rotation_whose_state_is_stale() {
    let mut settings = settings();
    strict(&mut settings);
    settings.serving.ready_when_degraded = true;
    let (mut server, store) = CountingStore::serve(settings).await;
    let token = server.root.token().await;
    store.set_down(true);
    server.clock.advance(301);
    server.rounds.make().await.unwrap_err();
    assert_refused(server.root.check(&token).await, Code::Unavailable, "STATE_STALE");
    // The cause is named all the same.
    assert_eq!(told(&server).await, (200, format!("ok\n{STALE}"), [Serving; 2]));

    // A server that stops is not ready, whatever is tolerated.
    let mut health = HealthClient::new(server.root.channel.clone());
    let mut watch = accepted(health.watch(HealthCheckRequest::default()).await).into_inner();
    assert_eq!(next(&mut watch).await, Serving);
    server.begin_stop();
    assert_eq!(next(&mut watch).await, NotServing);
}

#[tokio::test]
async fn a_replica_that_serves_stale_state_on_purpose_is_ready() {
    let (server, store) = CountingStore::serve(settings()).await;
    let token = server.root.token().await;
    store.set_down(true);
    server.clock.advance(301);
    server.rounds.make().await.unwrap_err();
    accepted(server.root.check(&token).await);
    assert_eq!(told(&server).await, (200, "ok\n".to_owned(), [Serving; 2]));
}

#[tokio::test]
async fn a_replica_that_cannot_write_the_audit_log_it_requires_is_not_ready() {
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join("logs");
    fs::create_dir(&inner).unwrap();
    let audit = to_file(&inner, AuditMode::Required, 1000);
    let server = TestServer::with(|own| *own = audit).await;
    fs::remove_dir_all(&inner).unwrap();
    assert_refused(server.root.issue(for_alice()).await, Code::Unavailable, "AUDIT_UNAVAILABLE");
    server.rounds.make().await.unwrap();
    let text = "AUDIT_UNAVAILABLE: the audit log is required and cannot be written\n";
    assert_eq!(told(&server).await, (503, text.to_owned(), [NotServing; 2]));
    fs::create_dir(&inner).unwrap();
    while server.root.issue(for_alice()).await.is_err() {}
    server.rounds.make().await.unwrap();
    assert_eq!(told(&server).await, (200, "ok\n".to_owned(), [Serving; 2]));
}

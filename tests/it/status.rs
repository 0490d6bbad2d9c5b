//! StatusService and `tokend status`: the state of a replica, and what is wrong with it.

use rcgen::{CertificateParams, date_time_ymd};
use tempfile::TempDir;
use tokend::proto::v1::{
    self, GetStatusRequest, GetStatusResponse, status_service_client::StatusServiceClient,
};
use tonic::{Code, Status};

use crate::{
    counting_store::CountingStore,
    exchanges::{client, texts},
    harness::{ISSUER, START, TestClient, TestServer, accepted, assert_refused, settings},
    process::{dev, run, stdout},
    tls_harness::{Files, TestAuthority, tls_server},
};

async fn status(client: &TestClient) -> Result<GetStatusResponse, Status> {
    let mut service = StatusServiceClient::new(client.channel.clone());
    Ok(service.get_status(client.request(GetStatusRequest {})).await?.into_inner())
}

fn reasons(status: &GetStatusResponse) -> Vec<&str> {
    status.problems.iter().map(|problem| problem.reason.as_str()).collect()
}

#[tokio::test]
async fn a_replica_without_problems_says_who_it_is() {
    let server = TestServer::start().await;
    server.clock.advance(60);
    let status = accepted(status(&server.root).await);
    assert_eq!(reasons(&status), Vec::<&str>::new());
    assert_eq!((status.issuer.as_str(), status.store.as_str(), status.ready), (ISSUER, "memory", true));
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    let seconds = |time: Option<prost_types::Timestamp>| time.unwrap().seconds;
    assert_eq!((seconds(status.start_time), seconds(status.server_time)), (START, START + 60));
    assert_eq!(status.tls_certificate_expire_time, None);
    let own: Vec<bool> = status.replicas.iter().map(|replica| replica.is_self).collect();
    assert_eq!(own, [true]);
}

#[tokio::test]
async fn operators_may_read_the_status_and_services_may_not() {
    let server = TestServer::start().await;
    let role = |role: &str| v1::Permissions { roles: texts(&[role]), ..Default::default() };
    for name in ["viewer", "admin"] {
        accepted(status(&client(&server, name, role(name)).await).await);
    }
    for name in ["key-admin", "client-admin"] {
        let refused = status(&client(&server, name, role(name)).await).await;
        assert_refused(refused, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
    }
    let anonymous = TestClient { channel: server.root.channel.clone(), secret: None };
    assert_refused(status(&anonymous).await, Code::Unauthenticated, "CREDENTIALS_MISSING");
}

#[tokio::test]
async fn a_store_that_is_down_is_a_problem_and_not_an_error() {
    let (server, store) = CountingStore::serve(settings()).await;
    store.set_down(true);
    let status = accepted(status(&server.root).await);
    assert_eq!(reasons(&status), ["STORE_UNAVAILABLE"]);
    assert!(status.ready && status.replicas.is_empty(), "{status:?}");
}

#[tokio::test]
async fn a_key_that_was_created_in_the_future_is_a_problem() {
    let server = TestServer::start().await;
    server.clock.set_back(10 * 86_400);
    let status = accepted(status(&server.root).await);
    assert!(reasons(&status).contains(&"KEY_CREATED_AHEAD"), "{status:?}");
}

#[tokio::test]
async fn a_certificate_that_expires_soon_is_a_problem() {
    let authority = TestAuthority::new();
    let files = Files::new(&authority);
    let change = |params: &mut CertificateParams| params.not_after = date_time_ymd(2035, 1, 8);
    files.write(&authority.server_with(&["localhost", "127.0.0.1"], change), &authority.pem);
    let server = tls_server(&authority, &files, |_| {}).await;
    let expire_time = 2_051_827_200;
    let before = accepted(status(&server.root).await);
    assert_eq!(before.tls_certificate_expire_time.unwrap().seconds, expire_time);
    assert_eq!(reasons(&before), Vec::<&str>::new());
    server.clock.advance(expire_time - 6 * 86_400 - START);
    assert!(reasons(&accepted(status(&server.root).await)).contains(&"TLS_CERTIFICATE_EXPIRES"));
}

#[test]
fn the_command_line_prints_the_status_of_the_development_server() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let printed = run(folder.path(), &["status"]);
    let text = stdout(&printed);
    assert!(printed.status.success(), "{text}");
    for line in [
        "version       0.1.0",
        "store         memory",
        "ready         yes",
        "tls           off",
        " ES256 active",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let printed = run(folder.path(), &["status", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(stdout(&printed)).unwrap();
    assert_eq!(json["status"]["ready"], true);
    assert!(json["keys"].as_array().unwrap().iter().any(|key| key["state"] == "ACTIVE"), "{json}");
}

//! How much is taken on: of one client, and of one kind of call.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokend::{
    audit::AuditMode,
    model::{Algorithm, Client, ClientId, ClientLimits, ClientRecord, ClientSecret, SecretRecord, UnixTime},
    proto::v1,
};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    audit::{events, to_file},
    counting_store::CountingStore,
    harness::{TestClient, TestServer, accepted, assert_refused, everything, for_alice, refused, settings},
    sessions::{begin, refresh, session_for_alice, using},
};

const fn limits(calls_per_second: u32, concurrent_calls: u32) -> ClientLimits {
    ClientLimits {
        calls_per_second: NonZeroU32::new(calls_per_second),
        concurrent_calls: NonZeroU32::new(concurrent_calls),
    }
}

fn retry_after(status: &Status) -> Duration {
    status.get_details_retry_info().unwrap().retry_delay.unwrap()
}

/// The value of a metric, named as the exposition does.
pub async fn metric(server: &TestServer, name: &str) -> Option<u64> {
    let text = server.get("/metrics").await.2;
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
}

#[tokio::test]
async fn a_client_that_calls_too_often_is_told_when_to_come_back() {
    let server = TestServer::with(|own| own.admission.client = limits(5, 0)).await;
    let web = server.client(v1::Client { client_id: "web".to_owned(), ..Default::default() }).await;
    server.clock.advance(1);
    for _ in 0..5 {
        accepted(server.root.issue(for_alice()).await);
    }
    let status =
        assert_refused(server.root.issue(for_alice()).await, Code::ResourceExhausted, "RATE_LIMITED");
    assert_eq!(retry_after(&status), Duration::from_millis(200), "a second's calls, evenly");
    // Each client has its own limit; an unknown caller has none.
    assert_refused(web.issue(for_alice()).await, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
    let stranger = TestClient::new(server.grpc, Some(ClientSecret::from_text("tkd_root_wrong"))).await;
    assert_refused(stranger.issue(for_alice()).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
    // What was promised is kept.
    server.clock.advance(1);
    for _ in 0..5 {
        accepted(server.root.issue(for_alice()).await);
    }
    refused(server.root.issue(for_alice()).await);
    assert_eq!(
        metric(&server, r#"tokend_client_calls_total{client_id="root",result="limited"}"#).await,
        Some(2)
    );
    assert_eq!(metric(&server, r#"tokend_client_tokens_issued_total{client_id="root"}"#).await, Some(10));
    assert_eq!(
        metric(&server, r#"tokend_client_calls_total{client_id="web",result="refused"}"#).await,
        Some(1)
    );
}

#[tokio::test]
async fn what_is_refused_for_how_much_there_is_to_do_is_counted_and_not_audited() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut settings = to_file(folder.path(), AuditMode::Required, 100);
    settings.admission.client = limits(2, 0);
    let server = TestServer::with(|own| *own = settings).await;
    for _ in 0..2 {
        accepted(server.root.issue(for_alice()).await);
    }
    for _ in 0..3 {
        assert_refused(server.root.issue(for_alice()).await, Code::ResourceExhausted, "RATE_LIMITED");
    }
    let calls = events(folder.path()).into_iter().filter(|event| event["event"] == "call");
    assert_eq!(calls.count(), 2);
    let limited = r#"tokend_client_calls_total{client_id="root",result="limited"}"#;
    assert_eq!(metric(&server, limited).await, Some(3));
}

#[tokio::test]
async fn a_clients_own_limit_goes_before_the_servers() {
    let server = TestServer::with(|own| own.admission.client = limits(1, 0)).await;
    let mut settings = everything();
    settings.limits = limits(3, 0);
    let start = UnixTime::from_seconds(0);
    let client = Client {
        client_id: ClientId::parse("fast").unwrap(),
        settings,
        create_time: start,
        update_time: start,
        revision: 1,
        mac: None,
    };
    let secret = ClientSecret::from_text("tkd_fast_secret-of-the-tests");
    let record = SecretRecord {
        secret_id: "1".to_owned(),
        digest: secret.digest(),
        create_time: start,
        expire_time: None,
    };
    server.store.put_client(&ClientRecord { client, secrets: vec![record] }).await.unwrap();
    server.rounds.make().await.unwrap();
    let fast = TestClient::new(server.grpc, Some(secret)).await;
    for _ in 0..3 {
        accepted(fast.issue(for_alice()).await);
    }
    assert_refused(fast.issue(for_alice()).await, Code::ResourceExhausted, "RATE_LIMITED");
    accepted(server.root.issue(for_alice()).await);
    assert_refused(server.root.issue(for_alice()).await, Code::ResourceExhausted, "RATE_LIMITED");
}

#[tokio::test]
async fn a_client_has_so_many_calls_at_once_and_its_own_end_makes_room() {
    let mut settings = settings();
    settings.admission.client = limits(0, 2);
    let (server, store) = CountingStore::serve(settings).await;
    store.hold();
    let mut calls = JoinSet::new();
    for _ in 0..2 {
        let root = server.root.clone();
        calls.spawn(async move {
            root.clients().list_clients(root.request(v1::ListClientsRequest::default())).await.map(|_| ())
        });
        store.call_arrived().await;
    }
    let status =
        assert_refused(server.root.issue(for_alice()).await, Code::ResourceExhausted, "RATE_LIMITED");
    assert!(retry_after(&status) > Duration::ZERO);
    // One that goes away makes room as well.
    calls.abort_all();
    while calls.join_next().await.is_some() {}
    while server.root.issue(for_alice()).await.is_err() {}
    store.release();
}

#[tokio::test]
async fn administering_waits_in_its_own_lane_up_to_a_bound() {
    let mut settings = settings();
    settings.admission.waiting = 3;
    let (server, store) = CountingStore::serve(settings).await;
    store.hold();
    let mut calls = JoinSet::new();
    let list = |root: TestClient| async move {
        root.clients().list_clients(root.request(v1::ListClientsRequest::default())).await.map(|_| ())
    };
    // As many as the lane takes, and as wait before it; what is more is refused at once.
    for _ in 0..64 + 3 + 5 {
        calls.spawn(list(server.root.clone()));
    }
    for _ in 0..5 {
        let status = refused(calls.join_next().await.unwrap().unwrap());
        assert_refused(Err::<(), _>(status), Code::ResourceExhausted, "RATE_LIMITED");
    }
    assert_eq!(metric(&server, r#"tokend_lane_busy{lane="admin"}"#).await, Some(64));
    assert_eq!(metric(&server, r#"tokend_lane_waiting{lane="admin"}"#).await, Some(3));
    assert_eq!(metric(&server, r#"tokend_lane_refused_total{lane="admin"}"#).await, Some(5));
    // Issuing and verifying are not affected.
    let token = server.root.token().await;
    accepted(server.root.check(&token).await);
    store.release();
    while let Some(call) = calls.join_next().await {
        accepted(call.unwrap());
    }
    assert_eq!(metric(&server, r#"tokend_lane_busy{lane="admin"}"#).await, Some(0));
}

/// RS256 signs slowly: a flood of such calls keeps one thread of two busy for a good while, and must leave the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_issuing_leaves_verifying_its_thread() {
    const FLOOD: usize = 300;
    let server = TestServer::with(|own| own.keys.algorithms = vec![Algorithm::Rs256]).await;
    let token = server.root.token().await;
    let issued = Arc::new(AtomicUsize::new(0));
    let mut issuing = JoinSet::new();
    for _ in 0..FLOOD {
        let (root, issued) = (server.root.clone(), Arc::clone(&issued));
        issuing.spawn(async move {
            let answer = root.issue(for_alice()).await.map(|_| ());
            issued.fetch_add(1, SeqCst);
            answer
        });
    }
    let waiting = r#"tokend_lane_waiting{lane="issue"}"#;
    while metric(&server, waiting).await.unwrap() < 50 {
        assert!(issued.load(SeqCst) < FLOOD, "nothing has waited");
        tokio::task::yield_now().await;
    }
    // Each of these is answered while others still wait to issue: no call to verify waits for the flood to end.
    let verifier = TestClient::new(server.grpc, server.root.secret.clone()).await;
    accepted(verifier.check(&token).await);
    assert!(issued.load(SeqCst) < FLOOD, "the flood was over before");
    assert!(metric(&server, waiting).await.unwrap() > 0);
    // Between two of them, none.
    assert!(metric(&server, r#"tokend_lane_busy{lane="issue"}"#).await.unwrap() <= 1);
    while let Some(call) = issuing.join_next().await {
        accepted(call.unwrap());
    }
}

#[tokio::test]
async fn a_client_that_was_deleted_has_no_series_any_more_and_no_sum_goes_back() {
    let server = TestServer::start().await;
    let web = server.client(v1::Client { client_id: "web".to_owned(), ..Default::default() }).await;
    assert_refused(web.issue(for_alice()).await, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
    let of = |client_id| format!("tokend_client_calls_total{{client_id=\"{client_id}\",result=\"refused\"}}");
    assert_eq!(metric(&server, &of("web")).await, Some(1));
    let delete = v1::DeleteClientRequest { client_id: "web".to_owned(), ..Default::default() };
    accepted(server.root.clients().delete_client(server.root.request(delete)).await);
    server.rounds.make().await.unwrap();
    assert_eq!((metric(&server, &of("web")).await, metric(&server, &of("(other)")).await), (None, Some(1)));
}

#[tokio::test]
async fn calls_that_wait_for_the_store_do_not_block_issuing() {
    let (server, store) = CountingStore::serve(settings()).await;
    let begun = begin(&server.root).await;
    store.hold();
    let mut calls = JoinSet::new();
    let root = server.root.clone();
    calls.spawn(async move { refresh(&root, using(&begun)).await.map(|_| ()) });
    let root = server.root.clone();
    calls.spawn(async move { root.issue(session_for_alice()).await.map(|_| ()) });
    let arrived = async {
        store.call_arrived().await;
        store.call_arrived().await;
        accepted(server.root.issue(for_alice()).await);
    };
    // Sooner than `request_timeout`, after which no call waits any more.
    tokio::time::timeout(Duration::from_secs(8), arrived).await.expect("issued while the others wait");
    assert_eq!(metric(&server, r#"tokend_lane_busy{lane="session"}"#).await, Some(2));
    assert_eq!(metric(&server, r#"tokend_lane_busy{lane="issue"}"#).await, Some(0));
    store.release();
    while let Some(call) = calls.join_next().await {
        accepted(call.unwrap());
    }
    assert_eq!(metric(&server, r#"tokend_lane_busy{lane="session"}"#).await, Some(0));
}

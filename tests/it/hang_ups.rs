//! Callers that hang up while the store does not answer: what they have begun is finished and counted, and what they have not
//! begun counts for nothing.

use std::time::Duration;

use tokend::{
    access::Backoff,
    model::{Algorithm, ClientSecret},
    proto::v1,
};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    admission::metric,
    caller_tokens::{issue_by, register},
    caller_workloads::{cluster_keys, pod, trusting, workload},
    counting_store::CountingStore,
    exchanges::{alices, client, exchange_of, orders_may, texts},
    harness::{TestClient, TestServer, accepted, assert_refused, for_alice, settings},
    jwks_stand_in::{Answer, JwksStandIn},
    login::{PASSWORD, alice, log_in, with_alice},
    made_keys::{made, make},
    revoke_calls::{ask, revocation_of, subject},
    sessions::{begin, refresh, refreshed, session_for_alice, using},
    store_hangs::busy,
};

/// Waits until the server has noticed that so many calls of `root` were given up.
async fn given_up(server: &TestServer, count: u64) {
    let failed = r#"tokend_client_calls_total{client_id="root",result="failed"}"#;
    while metric(server, failed).await != Some(count) {
        tokio::task::yield_now().await;
    }
}

/// Begins a call that comes as far as the store, and hangs up.
async fn hang_up<T: Send + 'static>(store: &CountingStore, call: impl Future<Output = T> + Send + 'static) {
    let call = tokio::spawn(call);
    store.call_arrived().await;
    call.abort();
    assert!(call.await.is_err());
}

/// Asks again and again, until it is so.
async fn eventually(is_so: impl AsyncFn() -> bool) {
    for _ in 0..10_000 {
        if is_so().await {
            return;
        }
    }
    panic!("it does not come to be");
}

#[tokio::test]
async fn a_revocation_is_in_force_though_its_caller_hung_up() {
    let (server, store) = CountingStore::serve(settings()).await;
    let root = server.root.clone();
    let token = root.token().await;
    store.hold();
    let target = subject("alice", None);
    hang_up(&store, async move { ask(&root, revocation_of(target)).await.is_ok() }).await;
    given_up(&server, 1).await;
    accepted(server.root.check(&token).await);
    store.release();
    eventually(async || server.root.check(&token).await.is_err()).await;
    assert_refused(server.root.check(&token).await, Code::InvalidArgument, "TOKEN_REVOKED");
}

#[tokio::test]
async fn a_session_ends_though_the_caller_that_used_its_token_twice_hung_up() {
    let (server, store) = CountingStore::serve(settings()).await;
    let root = server.root.clone();
    let first = begin(&root).await;
    let second = refreshed(&root, &first).await;
    let third = refreshed(&root, &second).await;
    server.clock.advance(60);
    // The session is read, and then it is to be revoked.
    store.hold();
    let call = tokio::spawn(async move { refresh(&root, using(&first)).await.is_ok() });
    store.call_arrived().await;
    store.gate.add_permits(1);
    store.call_arrived().await;
    call.abort();
    given_up(&server, 1).await;
    store.release();
    eventually(async || !accepted(server.root.introspect(&third, &[]).await).active).await;
}

#[tokio::test]
async fn a_login_that_the_store_did_not_answer_counts_as_no_failure() {
    let mut own = settings();
    own.people.limits.name_at_source =
        Backoff { free: 2, longest: Duration::from_secs(60), forget: Duration::from_secs(60) };
    let (server, store) = CountingStore::serve(own).await;
    with_alice(&server).await;
    store.hold();
    for number in 1..=5 {
        let root = server.root.clone();
        hang_up(&store, async move { log_in(&root, alice(PASSWORD)).await.is_ok() }).await;
        given_up(&server, number).await;
    }
    store.release();
    accepted(log_in(&server.root, alice(PASSWORD)).await);
}

#[tokio::test]
async fn what_goes_on_without_its_caller_keeps_its_permit() {
    let (server, store) = CountingStore::serve(settings()).await;
    store.hold();
    for number in 1..=5 {
        let root = server.root.clone();
        let request_id = format!("00000000-0000-4000-8000-{number:012}");
        let request = v1::IssueTokenRequest { request_id, ..session_for_alice() };
        hang_up(&store, async move { root.issue(request).await.is_ok() }).await;
        given_up(&server, number).await;
        assert_eq!(busy(&server, "session").await, number);
    }
    store.release();
    while busy(&server, "session").await > 0 {
        tokio::task::yield_now().await;
    }
}

/// A server that trusts the stand-in, whose keys it has; and the next unknown key is looked for.
async fn with_held_issuer() -> (TestServer, JwksStandIn) {
    let stand_in = JwksStandIn::start(Answer::Set(cluster_keys())).await;
    let server = TestServer::with(trusting(&stand_in.uri())).await;
    server.rounds.make().await.unwrap();
    server.clock.advance(30);
    stand_in.hold();
    (server, stand_in)
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_keeps_no_good_exchange_waiting() {
    let (server, stand_in) = with_held_issuer().await;
    let orders = client(&server, "orders", orders_may()).await;
    let good = alices(&server).await;
    let unknown = make(Algorithm::Es256).token("unknown", &pod());
    let mut calls = JoinSet::new();
    for _ in 0..40 {
        let (root, unknown) = (server.root.clone(), unknown.clone());
        calls.spawn(async move { root.exchange(exchange_of(&unknown)).await });
    }
    let active = r#"tokend_lane_busy{lane="exchange"}"#;
    while stand_in.requests() < 2 || metric(&server, active).await != Some(0) {
        tokio::task::yield_now().await;
    }
    for _ in 0..40 {
        let to_billing = v1::ExchangeTokenRequest { audiences: texts(&["billing"]), ..exchange_of(&good) };
        accepted(orders.exchange(to_billing).await);
    }
    stand_in.release();
    for answer in calls.join_all().await {
        assert_refused(answer, Code::InvalidArgument, "TOKEN_KEY_UNKNOWN");
    }
}

#[tokio::test]
async fn only_so_many_callers_wait_for_an_issuer() {
    let (server, stand_in) = with_held_issuer().await;
    register(&server, "web", workload(&[("/kubernetes.io/namespace", &["shop"])])).await;
    let unknown = make(Algorithm::Es256).token("unknown", &pod());
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        let by = TestClient::new(server.grpc, Some(ClientSecret::from_text(unknown.clone()))).await;
        for _ in 0..100 {
            let by = by.clone();
            calls.spawn(async move { by.issue(for_alice()).await });
        }
    }
    for _ in 0..300 - 256 {
        let answer = calls.join_next().await.unwrap().unwrap();
        assert_refused(answer, Code::Unavailable, "STATE_STALE");
    }
    // A token with a known key needs no fetch.
    let known = made(Algorithm::Rs256).token("cluster-1", &pod());
    accepted(issue_by(&server, &known).await);
    stand_in.release();
    for answer in calls.join_all().await {
        assert_refused(answer, Code::Unauthenticated, "CREDENTIALS_INVALID");
    }
}

//! A store that does not answer: what waits for it takes no room from what works in memory, and is answered in time.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use serde_json::json;
use tokend::{
    model::Algorithm,
    proto::v1::{self, batch_verify_tokens_result::Result as Item},
    store::{self, Location},
};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::{
    admission::metric,
    batch::error,
    counting_store::CountingStore,
    exchanges::{alices, client, exchange_of, orders_may, texts},
    forge::b64,
    harness::{TestClient, TestServer, accepted, assert_refused, manual_clock, refused, settings},
    import::{foreign, payload_of},
    key_calls::import,
    made_keys::{made, pem_request, verify_only},
};

/// The most calls that wait for a look-up of keys, and the most that verify at once.
const WAITING: usize = 1024;

/// A token that names a key that does not exist.
pub fn garbage(number: usize) -> String {
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": format!("unknown-{number}")});
    format!("{}.{}.{}", b64(header.to_string()), b64("{}"), b64([7; 64]))
}

fn at_orders(token: &str) -> v1::VerifyTokenRequest {
    v1::VerifyTokenRequest {
        token: token.to_owned(),
        audiences: vec!["orders".to_owned()],
        ..Default::default()
    }
}

/// A token that has the form of a refresh token.
pub fn refresh_garbage() -> String {
    format!("tkr_{}", b64([7; 64]))
}

pub async fn busy(server: &TestServer, lane: &str) -> u64 {
    metric(server, &format!(r#"tokend_lane_busy{{lane="{lane}"}}"#)).await.unwrap_or_default()
}

/// Waits until so many calls wait for a look-up of keys.
async fn waiting_reaches(server: &TestServer, count: usize) {
    while metric(server, "tokend_key_lookups_waiting").await != u64::try_from(count).ok() {
        tokio::task::yield_now().await;
    }
}

async fn lookups(server: &TestServer, result: &str) -> u64 {
    metric(server, &format!(r#"tokend_key_lookups_total{{result="{result}"}}"#)).await.unwrap()
}

/// So many calls at once, on several connections.
async fn crowd<T: Send + 'static, F>(
    server: &TestServer,
    count: usize,
    call: impl Fn(TestClient, usize) -> F,
) -> JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let mut calls = JoinSet::new();
    let mut by = server.root.clone();
    for number in 0..count {
        if number % 200 == 199 {
            by = TestClient::new(server.grpc, server.root.secret.clone()).await;
        }
        calls.spawn(call(by.clone(), number));
    }
    calls
}

fn unknown<T>(answer: Result<T, Status>) {
    assert_refused(answer, Code::InvalidArgument, "TOKEN_KEY_UNKNOWN");
}

fn away<T>(answer: Result<T, Status>) {
    assert_refused(answer, Code::Unavailable, "STORE_UNAVAILABLE");
}

#[tokio::test]
async fn one_look_up_serves_all_calls_that_came_before_it_began() {
    let (server, store) = CountingStore::serve(settings()).await;
    let good = server.root.token().await;
    let before = store.key_reads.load(SeqCst);
    store.hold();
    let first = tokio::spawn({
        let root = server.root.clone();
        async move { root.check(&garbage(0)).await }
    });
    store.call_arrived().await;
    // While the look-up waits, tokens with known keys are verified.
    accepted(server.root.check(&good).await);
    // These come while it runs: it may have read the store before they came, and they wait for the next one.
    let others = crowd(&server, 50, |root, number| async move { root.check(&garbage(number)).await }).await;
    waiting_reaches(&server, 51).await;
    store.release();
    unknown(first.await.unwrap());
    others.join_all().await.into_iter().for_each(unknown);
    assert_eq!(store.key_reads.load(SeqCst) - before, 2, "51 tokens with unknown keys");
    assert_eq!((lookups(&server, "ok").await, lookups(&server, "failed").await), (2, 0));
}

#[tokio::test]
async fn look_ups_keep_their_interval() {
    let mut own = settings();
    own.keys.lookup_interval = Duration::from_secs(3600);
    own.keys.lookup_wait = Duration::from_millis(20);
    let (server, store) = CountingStore::serve(own).await;
    let before = store.key_reads.load(SeqCst);
    // The first look-up begins at once; until the next one is due nothing is known of keys that are not in memory.
    let first = server.root.check(&garbage(0)).await;
    assert!(matches!(refused(first).code(), Code::InvalidArgument | Code::Unavailable));
    for number in 0..20 {
        away(server.root.check(&garbage(number)).await);
    }
    assert_eq!(store.key_reads.load(SeqCst) - before, 1);
}

#[tokio::test]
async fn a_key_that_came_into_the_store_is_found_at_its_first_token() {
    let shared = store::open(&Location::Memory).await.unwrap();
    let replica = || TestServer::on(CountingStore::quiet(&shared), settings(), manual_clock());
    let (here, there) = (replica().await, replica().await);
    // Garbage was looked up just now, which keeps no good key from being found.
    unknown(here.root.check(&garbage(0)).await);
    let key = made(Algorithm::Es256);
    let imported = verify_only(foreign(pem_request(key.public_pem(), "")));
    let imported = accepted(import(&there, imported).await);
    let payload = payload_of(&imported.issuer);
    accepted(here.root.check(&key.token(&imported.key_id, &payload)).await);
}

#[tokio::test]
async fn calls_that_wait_for_a_look_up_take_no_room_from_good_tokens() {
    let (server, store) = CountingStore::serve(settings()).await;
    let good = server.root.token().await;
    store.hold();
    let calls =
        crowd(&server, WAITING, |root, number| async move { root.check(&garbage(number)).await }).await;
    waiting_reaches(&server, WAITING).await;
    assert_eq!(busy(&server, "verify").await, 0);
    accepted(server.root.check(&good).await);
    // There is a limit for those that wait, too.
    away(server.root.check(&garbage(0)).await);
    accepted(server.root.check(&good).await);
    store.release();
    calls.join_all().await.into_iter().for_each(unknown);
    accepted(server.root.check(&good).await);
}

#[tokio::test]
async fn a_look_up_goes_on_when_its_caller_has_gone() {
    let (server, store) = CountingStore::serve(settings()).await;
    store.hold();
    let call = tokio::spawn({
        let root = server.root.clone();
        async move { root.check(&garbage(0)).await }
    });
    store.call_arrived().await;
    call.abort();
    waiting_reaches(&server, 0).await;
    assert_eq!(lookups(&server, "ok").await, 0);
    store.release();
    // The call gives up, and the outcome is recorded all the same.
    while lookups(&server, "ok").await == 0 {
        tokio::task::yield_now().await;
    }
    unknown(server.root.check(&garbage(0)).await);
}

#[tokio::test]
async fn while_the_store_hangs_unknown_keys_are_answered_soon_and_cost_one_read() {
    let mut own = settings();
    own.keys.lookup_wait = Duration::from_millis(100);
    let (server, store) = CountingStore::serve(own).await;
    let good = server.root.token().await;
    let before = store.key_reads.load(SeqCst);
    store.hold();
    for number in 0..5 {
        let mut request = server.root.request(at_orders(&garbage(number)));
        request.set_timeout(Duration::from_secs(10));
        away(server.root.tokens().verify_token(request).await);
        away(server.root.introspect(&garbage(number), &[]).await);
        away(server.root.exchange(exchange_of(&garbage(number))).await);
    }
    // One bad token never spoils the others, and many wait no longer than one.
    let token = |number: usize| if number.is_multiple_of(2) { garbage(number) } else { good.clone() };
    let requests = (0..100).map(|number| at_orders(&token(number))).collect();
    let mut request = server.root.request(v1::BatchVerifyTokensRequest { requests });
    request.set_timeout(Duration::from_secs(4));
    let answer = accepted(server.root.tokens().batch_verify_tokens(request).await).into_inner();
    for (number, result) in answer.results.into_iter().enumerate() {
        match result.result.unwrap() {
            Item::Verified(_) => assert_eq!(number % 2, 1),
            item => assert_eq!(error(item), (i32::from(Code::Unavailable), "STORE_UNAVAILABLE".to_owned())),
        }
    }
    assert_eq!(store.key_reads.load(SeqCst) - before, 1);
    store.release();
    loop {
        match server.root.check(&garbage(0)).await {
            Err(status) if status.code() == Code::Unavailable => {}
            answer => break unknown(answer),
        }
    }
}

#[tokio::test]
async fn introspection_of_refresh_tokens_takes_no_room_from_verifying() {
    let (server, store) = CountingStore::serve(settings()).await;
    let good = server.root.token().await;
    store.hold();
    let calls =
        crowd(&server, 10, |root, _| async move { root.introspect(&refresh_garbage(), &[]).await }).await;
    let waiting = r#"tokend_lane_waiting{lane="introspect"}"#;
    while metric(&server, waiting).await != Some(6) {
        assert_eq!(busy(&server, "verify").await, 0, "a call waits for the store in there");
        tokio::task::yield_now().await;
    }
    assert_eq!(busy(&server, "introspect").await, 4);
    accepted(server.root.check(&good).await);
    assert!(accepted(server.root.introspect(&good, &[]).await).active);
    store.release();
    assert!(calls.join_all().await.into_iter().all(|answer| !accepted(answer).active));
}

#[tokio::test]
async fn exchanges_of_garbage_take_no_room_from_good_ones() {
    let (server, store) = CountingStore::serve(settings()).await;
    let orders = client(&server, "orders", orders_may()).await;
    let good = alices(&server).await;
    store.hold();
    let calls =
        crowd(&server, 40, |root, number| async move { root.exchange(exchange_of(&garbage(number))).await })
            .await;
    waiting_reaches(&server, 40).await;
    assert_eq!(busy(&server, "exchange").await, 0);
    let to_billing = v1::ExchangeTokenRequest { audiences: texts(&["billing"]), ..exchange_of(&good) };
    accepted(orders.exchange(to_billing).await);
    store.release();
    calls.join_all().await.into_iter().for_each(unknown);
    // What is garbage in another way needs no look-up.
    let wrong = made(Algorithm::Rs256).token("unknown", &json!({}));
    unknown(orders.exchange(exchange_of(&wrong)).await);
}

#[tokio::test]
async fn a_server_stops_though_the_store_never_answers() {
    let (mut server, store) = CountingStore::serve(settings()).await;
    store.hold();
    server.begin_stop();
    tokio::time::timeout(Duration::from_secs(60), server.stopped()).await.unwrap();
}

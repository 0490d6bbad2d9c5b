//! What is revoked while the store fails, and after it went back to an earlier state.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use sqlx::{Connection as _, SqliteConnection};
use tokend::{
    model::{Revocation, RevocationTarget, UnixTime},
    proto::v1::{self, batch_verify_tokens_result::Result as Item, revoke_token_request::Target},
    server::Settings,
    store::{self, Location, Store},
};
use tonic::Code;

use crate::{
    counting_store::CountingStore,
    harness::{TestServer, accepted, assert_refused, for_alice, manual_clock, settings},
    key_calls,
    revoke_calls::{begin, revoke, subject},
};

/// A server that rejects calls once its view is older than five minutes.
const fn strict(settings: &mut Settings) {
    settings.revocations.staleness_bound = Duration::from_secs(300);
    settings.revocations.serve_stale = false;
}

async fn age(server: &TestServer) -> u64 {
    let (_, _, metrics) = server.get("/metrics").await;
    let line = metrics.lines().find(|line| line.starts_with("tokend_revocations_view_age_seconds "));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn nobody_is_told_that_a_token_is_good_when_it_may_have_been_revoked_long_ago() {
    let mut settings = settings();
    strict(&mut settings);
    let (server, store) = CountingStore::serve(settings).await;
    let (good, bad) = (server.root.token().await, begin(&server.root).await);
    accepted(revoke(&server.root, Target::JwtId(bad.jwt_id)).await);
    store.set_down(true);
    server.clock.advance(300);
    server.rounds.make().await.unwrap_err();
    assert_eq!(age(&server).await, 300);
    accepted(server.root.check(&good).await);

    server.clock.advance(1);
    assert_refused(server.root.check(&good).await, Code::Unavailable, "STATE_STALE");
    // What is known to be revoked is so in any case.
    assert_refused(server.root.check(&bad.access_token).await, Code::InvalidArgument, "TOKEN_REVOKED");
    let request = v1::VerifyTokenRequest {
        token: good.clone(),
        audiences: vec!["orders".to_owned()],
        ..Default::default()
    };
    let batch = v1::BatchVerifyTokensRequest { requests: vec![request] };
    let batch = server.root.tokens().batch_verify_tokens(server.root.request(batch)).await;
    let results = accepted(batch).into_inner().results;
    let Some(Item::Error(error)) = &results[0].result else { panic!("it was verified") };
    assert_eq!(error.code, Code::Unavailable as i32);
    // Issuing needs no revocations.
    accepted(server.root.issue(for_alice()).await);

    store.set_down(false);
    server.rounds.make().await.unwrap();
    assert_eq!(age(&server).await, 0);
    accepted(server.root.check(&good).await);
}

#[tokio::test]
async fn an_operator_may_prefer_to_serve_from_an_old_view() {
    let mut settings = settings();
    strict(&mut settings);
    settings.revocations.serve_stale = true;
    let (server, store) = CountingStore::serve(settings).await;
    let good = server.root.token().await;
    store.set_down(true);
    server.clock.advance(500);
    accepted(server.root.check(&good).await);
    assert_eq!(age(&server).await, 500);
}

/// Two replicas on one store, the first of which finds parts of it failing.
async fn half_failing() -> (TestServer, Arc<CountingStore>, TestServer) {
    let inner = store::open(&Location::Memory).await.unwrap();
    let (failing, hook) = CountingStore::quiet_with_hook(&inner);
    let clock = manual_clock();
    let here = TestServer::on(failing, settings(), Arc::clone(&clock)).await;
    let elsewhere = TestServer::on(CountingStore::quiet(&inner), settings(), clock).await;
    (here, hook, elsewhere)
}

#[tokio::test]
async fn what_is_revoked_is_followed_while_keys_cannot_be() {
    let (here, store, elsewhere) = half_failing().await;
    let token = here.root.token().await;
    store.keys_down.store(true, SeqCst);
    key_calls::rotate(&elsewhere, true).await;
    accepted(revoke(&elsewhere.root, Target::Token(token.clone())).await);
    here.rounds.make().await.unwrap_err();
    assert_refused(here.root.check(&token).await, Code::InvalidArgument, "TOKEN_REVOKED");
}

#[tokio::test]
async fn keys_and_clients_are_followed_while_revocations_cannot_be() {
    let (here, store, elsewhere) = half_failing().await;
    let token = here.root.token().await;
    store.revocations_down.store(true, SeqCst);
    elsewhere.client(v1::Client { client_id: "new".to_owned(), ..Default::default() }).await;
    let sequence = key_calls::rotate(&elsewhere, false).await.len();
    assert!(sequence > 0);
    accepted(revoke(&elsewhere.root, Target::Token(token.clone())).await);
    here.rounds.make().await.unwrap_err();
    accepted(here.root.check(&token).await);
    assert_eq!(key_calls::published(&here).await, key_calls::published(&elsewhere).await);
    store.revocations_down.store(false, SeqCst);
    here.rounds.make().await.unwrap();
    assert_refused(here.root.check(&token).await, Code::InvalidArgument, "TOKEN_REVOKED");
}

#[tokio::test]
async fn what_was_made_but_cannot_be_read_back_is_in_force_all_the_same() {
    let (here, store, elsewhere) = half_failing().await;
    let tokens = [begin(&here.root).await, begin(&here.root).await, begin(&here.root).await];
    store.revocations_down.store(true, SeqCst);
    accepted(revoke(&here.root, Target::Token(tokens[0].access_token.clone())).await);
    accepted(revoke(&here.root, Target::SessionId(tokens[1].session_id.clone())).await);
    let check = async |server: &TestServer, number: usize, revoked| {
        let answer = server.root.check(&tokens[number].access_token).await;
        assert_eq!(answer.is_err(), revoked, "{number}");
    };
    for (number, revoked) in [(0, true), (1, true), (2, false)] {
        check(&here, number, revoked).await;
    }
    accepted(revoke(&here.root, subject("alice", None)).await);
    check(&here, 2, true).await;
    elsewhere.rounds.make().await.unwrap();
    store.revocations_down.store(false, SeqCst);
    here.rounds.make().await.unwrap();
    for number in 0..3 {
        check(&here, number, true).await;
        check(&elsewhere, number, true).await;
    }
}

/// Makes the database what a backup would have been from before the last so many changes, all of them revocations.
pub async fn go_back(file: &Path, changes: i64) {
    let mut database = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    for statement in [
        "DELETE FROM revocations WHERE sequence > (SELECT value - ?1 FROM change_sequence)",
        "UPDATE change_sequence SET value = value - ?1, revocations = revocations - ?1",
    ] {
        sqlx::query(statement).bind(changes).execute(&mut database).await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_went_back_takes_nothing_back_here() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokend.db");
    let opened = store::open(&Location::Sqlite(file.clone())).await.unwrap();
    let store: Arc<Store> = CountingStore::quiet(&opened);
    let server = TestServer::on(Arc::clone(&store), settings(), manual_clock()).await;
    let (mut begun, early) = (Vec::new(), server.root.token().await);
    for _ in 0..4 {
        begun.push(begin(&server.root).await);
    }
    accepted(revoke(&server.root, Target::JwtId(begun[0].jwt_id.clone())).await);
    accepted(revoke(&server.root, Target::JwtId(begun[1].jwt_id.clone())).await);
    accepted(revoke(&server.root, Target::SessionId(begun[2].session_id.clone())).await);

    go_back(&file, 2).await;
    server.rounds.make().await.unwrap();
    let refused = async |number: usize| {
        let answer = server.root.check(&begun[number].access_token).await;
        assert_refused(answer, Code::InvalidArgument, "TOKEN_REVOKED");
    };
    for number in 0..3 {
        refused(number).await;
    }
    accepted(server.root.check(&begun[3].access_token).await);
    // What is revoked then has the numbers of what was lost.
    for target in
        [RevocationTarget::Token(begun[3].jwt_id.clone()), RevocationTarget::Token("another".to_owned())]
    {
        let revoke_time = UnixTime::from_seconds(server.clock.seconds());
        store.revoke(&Revocation { target, revoke_time, expire_time: None }).await.unwrap();
    }
    server.rounds.make().await.unwrap();
    for number in 0..4 {
        refused(number).await;
    }
    accepted(server.root.check(&early).await);
}

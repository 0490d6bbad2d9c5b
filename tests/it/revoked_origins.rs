//! What came of a token by a refresh or an exchange is revoked with it, however late it was issued.

use std::sync::Arc;

use tokend::{
    model::{Revocation, RevocationTarget, UnixTime},
    proto::v1,
    store::{self, Location, Store},
};
use tonic::Code;

use crate::{
    counting_store::CountingStore,
    exchanges::{exchange_of, said},
    harness::{START, TestServer, accepted, assert_refused, clock_at, for_alice, settings},
    sessions::{begin, claims, refresh, using},
};

async fn revoke_alice(store: &Arc<Store>, before: i64) {
    let target = RevocationTarget::Subject("alice".to_owned(), UnixTime::from_seconds(before));
    let (revoke_time, expire_time) = (UnixTime::from_seconds(before), None);
    store.revoke(&Revocation { target, revoke_time, expire_time }).await.unwrap();
}

#[tokio::test]
async fn a_replica_that_has_not_heard_of_a_revocation_makes_no_token_that_outlives_it() {
    let store: Arc<Store> = CountingStore::quiet(&store::open(&Location::Memory).await.unwrap());
    let late = TestServer::on(Arc::clone(&store), settings(), clock_at(START)).await;
    let token = accepted(late.root.issue(for_alice()).await).access_token;

    revoke_alice(&store, START + 10).await;
    late.clock.advance(60);
    let request = v1::ExchangeTokenRequest { audiences: vec!["orders".to_owned()], ..exchange_of(&token) };
    let exchanged = accepted(late.root.exchange(request).await).access_token;
    let said = said(&late, &exchanged).await;
    assert_eq!((said["iat"].as_i64(), said["orig_iat"].as_i64()), (Some(START + 60), Some(START)));

    late.rounds.make().await.unwrap();
    assert_refused(late.root.check(&exchanged).await, Code::InvalidArgument, "TOKEN_REVOKED");
    // What is issued now has nothing to do with it.
    accepted(late.root.check(&accepted(late.root.issue(for_alice()).await).access_token).await);
}

#[tokio::test]
async fn a_chain_of_exchanges_says_where_it_began() {
    let server = TestServer::start().await;
    let mut token = accepted(server.root.issue(for_alice()).await).access_token;
    for _ in 0..3 {
        server.clock.advance(10);
        let request =
            v1::ExchangeTokenRequest { audiences: vec!["orders".to_owned()], ..exchange_of(&token) };
        token = accepted(server.root.exchange(request).await).access_token;
        assert_eq!(claims(&token)["orig_iat"].as_i64(), Some(START));
    }
    let refused = server
        .root
        .issue(v1::IssueTokenRequest { claims_json: r#"{"orig_iat":1}"#.to_owned(), ..for_alice() });
    assert_refused(refused.await, Code::InvalidArgument, "FIELD_INVALID");
}

#[tokio::test]
async fn a_revocation_that_covers_a_session_covers_what_it_was_refreshed_to() {
    let server = TestServer::start().await;
    let first = begin(&server.root).await;
    server.clock.advance(600);
    let second = accepted(refresh(&server.root, using(&first)).await);
    accepted(server.root.check(&second.access_token).await);
    assert_eq!(claims(&second.access_token)["orig_iat"].as_i64(), Some(START));

    // The session began before, and its latest token was issued since.
    revoke_alice(&server.store, START + 10).await;
    server.rounds.make().await.unwrap();
    assert_refused(server.root.check(&second.access_token).await, Code::InvalidArgument, "TOKEN_REVOKED");
}

//! An assertion is good once: in a crowd, at another replica, and after a restart.

use std::sync::Arc;

use tokend::{
    model::Algorithm,
    store::{self, Location, Store},
};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    caller_tokens::{by_assertion, claims, issue_by, public, put, unlimited},
    counting_store::CountingStore,
    harness::{TestServer, accepted, assert_refused, manual_clock, settings},
    made_keys::made,
    postgres::Database,
    store_backends::{on_every_store, open_postgres},
};

on_every_store!(of_fifty_at_once_one_is_taken_and_none_at_a_second_replica);

fn assertion(jwt_id: &str) -> String {
    made(Algorithm::Es256).token("k", &claims("web", jwt_id))
}

/// A server on a store that outlives it.
async fn replica(store: &Arc<Store>) -> TestServer {
    let mut settings = settings();
    unlimited(&mut settings);
    TestServer::on(CountingStore::quiet(store), settings, manual_clock()).await
}

async fn of_fifty_at_once_one_is_taken_and_none_at_a_second_replica(store: Arc<Store>) {
    put(&store, "web", by_assertion(&[public(made(Algorithm::Es256), "k")]), Vec::new()).await;
    let replicas = [Arc::new(replica(&store).await), Arc::new(replica(&store).await)];
    for round in 0..3 {
        let token = assertion(&format!("round-{round}"));
        let mut crowd = JoinSet::new();
        for number in 0..50 {
            // Two rounds ask one replica, the last one both.
            let server = Arc::clone(&replicas[if round == 2 { number % 2 } else { 0 }]);
            let token = token.clone();
            crowd.spawn(async move { issue_by(&server, &token).await });
        }
        let (taken, refused): (Vec<_>, Vec<_>) = crowd.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((taken.len(), refused.len()), (1, 49), "round {round}");
        for answer in refused {
            assert_refused(answer, Code::Unauthenticated, "CREDENTIALS_INVALID");
        }
        for server in &replicas {
            assert_refused(issue_by(server, &token).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
        }
    }
}

/// Uses an assertion, starts everything anew by `open`, and presents it again.
async fn survives_a_restart(open: impl AsyncFn() -> Arc<Store>) {
    let mut settings = settings();
    unlimited(&mut settings);
    let store = open().await;
    put(&store, "web", by_assertion(&[public(made(Algorithm::Es256), "k")]), Vec::new()).await;
    let mut server = TestServer::on(store, settings, manual_clock()).await;
    accepted(issue_by(&server, &assertion("before")).await);
    server.begin_stop();
    server.stopped().await;
    let server = replica(&open().await).await;
    assert_refused(
        issue_by(&server, &assertion("before")).await,
        Code::Unauthenticated,
        "CREDENTIALS_INVALID",
    );
    accepted(issue_by(&server, &assertion("after")).await);
}

#[tokio::test]
async fn a_restart_forgets_nothing_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokend.db");
    survives_a_restart(async || store::open(&Location::Sqlite(path.clone())).await.unwrap()).await;
}

#[tokio::test]
async fn a_restart_forgets_nothing_on_postgres() {
    let Some(database) = Database::create().await else { return };
    survives_a_restart(async || open_postgres(&database).await).await;
}

#[tokio::test]
async fn expired_assertions_are_deleted_on_rounds() {
    let server = TestServer::with(unlimited).await;
    put(&server.store, "web", by_assertion(&[public(made(Algorithm::Es256), "k")]), Vec::new()).await;
    server.rounds.make().await.unwrap();
    accepted(issue_by(&server, &assertion("a")).await);
    // It ended 60 seconds after the start, leeway and the replicas' clocks are 70 more.
    server.clock.advance(129);
    server.rounds.make().await.unwrap();
    let everything = tokend::model::UnixTime::MAX;
    server.clock.advance(61);
    server.rounds.make().await.unwrap();
    assert_eq!(
        server.store.forget_assertions(everything, 10).await.unwrap(),
        0,
        "nothing was left to delete"
    );
}

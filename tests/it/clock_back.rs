//! The machine's clock is set back: timeouts and lifetimes last as long as before.

use tokend::model::Algorithm;
use tonic::Code;

use crate::{
    caller_tokens::{issue_by, register},
    caller_workloads::{by_cluster, cluster_keys, pod, trusting, workload},
    harness::{TestServer, assert_refused, refused},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::make,
};

const DAY: i64 = 86_400;

#[tokio::test]
async fn keys_of_trusted_issuers_are_fetched_on_and_grow_old() {
    let stand_in = JwksStandIn::start(Answer::Set(cluster_keys())).await;
    let server = TestServer::with(trusting(&stand_in.uri())).await;
    register(&server, "web", workload(&[("/kubernetes.io/namespace", &["shop"])])).await;
    server.rounds.make().await.unwrap();
    assert_eq!(stand_in.requests(), 1);
    server.clock.set_back(DAY);
    server.clock.advance(300);
    server.rounds.make().await.unwrap();
    assert_eq!(stand_in.requests(), 2, "no longer in the background");
    // An unknown key is looked up after the same pause.
    server.clock.set_back(DAY);
    server.clock.advance(30);
    let unknown = make(Algorithm::Es256).token("new", &pod());
    assert_refused(issue_by(&server, &unknown).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
    assert_eq!(stand_in.requests(), 3, "no longer for one who asks");
    // Old keys are not used for longer.
    stand_in.answer(Answer::Nothing);
    server.clock.set_back(DAY);
    server.clock.advance(3600);
    assert_refused(issue_by(&server, &by_cluster(&pod())).await, Code::Unavailable, "STATE_STALE");
}

#[tokio::test]
async fn who_failed_too_often_waits_no_longer() {
    let server = TestServer::start().await;
    let garbage = "tkd_root_wrong";
    let limited = async || {
        let reason = crate::harness::reason(&refused(issue_by(&server, garbage).await));
        reason == "RATE_LIMITED"
    };
    while !limited().await {}
    server.clock.set_back(DAY);
    assert!(limited().await, "time did not pass");
    server.clock.advance(60);
    assert!(!limited().await);
}

#[tokio::test]
async fn used_assertions_are_swept_on() {
    let server = TestServer::start().await;
    let sweeps = async || -> u32 {
        server.rounds.make().await.unwrap();
        let metrics = server.get("/metrics").await.2;
        let name = "tokend_store_action_duration_seconds_count{action=\"forget_assertions\"} ";
        metrics.lines().find_map(|line| line.strip_prefix(name)).map_or(0, |count| count.parse().unwrap())
    };
    let before = sweeps().await;
    server.clock.set_back(DAY);
    assert_eq!(sweeps().await, before, "not with every round");
    server.clock.advance(60);
    assert_eq!(sweeps().await, before + 1);
}

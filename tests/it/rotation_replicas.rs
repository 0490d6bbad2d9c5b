//! Rotation by several replicas: one makes a key, the others have it before it signs, and verifiers too.

use std::{sync::Arc, time::Duration};

use tokend::{
    keys::{RotationSchedule, ScheduleSettings},
    model::{Algorithm, ChangeSequence, Held, KeyChange, KeyState, ReplicaReport},
    proto::v1,
    server::Settings,
    store::{self, Location, Store},
};
use tonic::Code;

use crate::{
    harness::{
        ManualClock, START, TestServer, accepted, assert_refused, for_alice, manual_clock, schedule, seconds,
        settings,
    },
    key_calls::{DAY, HOUR, issue, kid, list, rotate},
    store_backends::{at, key},
};

/// Another replica on the same store.
async fn replica(store: &Arc<Store>, settings: Settings, clock: &Arc<ManualClock>) -> TestServer {
    TestServer::on(Arc::clone(store), settings, Arc::clone(clock)).await
}

/// What a replica would report that holds `held`.
fn report(held: ChangeSequence, verifiers: Vec<Held>) -> ReplicaReport {
    ReplicaReport { replica_id: "elsewhere".to_owned(), held, verifiers }
}

#[tokio::test]
async fn a_key_that_signs_at_once_is_known_to_every_replica_before() {
    let server = TestServer::start().await;
    let held = server.store.keys().await.unwrap().sequence;
    server.store.report_replica(&report(held, vec![])).await.unwrap();
    let first = rotate(&server, true).await.remove(0);
    assert_eq!(first.state(), v1::KeyState::Active, "the other replica has it from the start");
    // The next one was published just now, and the other replica has not followed yet.
    let next = rotate(&server, true).await.remove(0);
    assert_eq!(next.state(), v1::KeyState::Pending);
    server.clock.advance(10);
    server.rounds.make().await.unwrap();
    assert_eq!(issue(&server).await.key_id, first.key_id);
    let held = server.store.keys().await.unwrap().sequence;
    server.store.report_replica(&report(held, vec![])).await.unwrap();
    server.rounds.make().await.unwrap();
    assert_eq!(issue(&server).await.key_id, next.key_id);
}

#[tokio::test]
async fn a_replica_that_was_killed_is_not_waited_for_for_ever() {
    let server = TestServer::start().await;
    server.store.report_replica(&report(ChangeSequence(0), vec![])).await.unwrap();
    let next = rotate(&server, true).await.remove(0);
    assert_eq!(next.state(), v1::KeyState::Pending);
    server.clock.advance(14);
    server.rounds.make().await.unwrap();
    assert_ne!(issue(&server).await.key_id, next.key_id);
    server.clock.advance(1);
    server.rounds.make().await.unwrap();
    assert_eq!(issue(&server).await.key_id, next.key_id);
    assert_eq!(server.store.replicas().await.unwrap().len(), 1, "its report is forgotten");
}

#[tokio::test]
async fn many_replicas_that_rotate_at_once_make_one_key() {
    let store = store::open(&Location::Memory).await.unwrap();
    let clock = manual_clock();
    let mut replicas = Vec::new();
    for _ in 0..6 {
        replicas.push(replica(&store, settings(), &clock).await);
    }
    for rotation in 1..=5 {
        clock.advance(30 * DAY);
        let rounds = replicas.iter().map(|replica| {
            let rounds = replica.rounds.clone();
            tokio::spawn(async move { rounds.make().await })
        });
        for round in rounds.collect::<Vec<_>>() {
            round.await.unwrap().unwrap();
        }
        let set = store.keys().await.unwrap();
        let count = |state| set.of(Algorithm::Es256, state).count();
        assert_eq!((count(KeyState::Active), count(KeyState::Pending)), (1, 1), "rotation {rotation}");
        assert!(set.keys.len() <= 3, "one key a rotation: {set:?}");
    }
}

#[tokio::test]
async fn a_rotation_waits_for_verifiers_as_long_as_it_is_told() {
    let patient = ScheduleSettings { await_verifiers: Duration::from_secs(6 * 3600), ..schedule() };
    let server =
        TestServer::with(|settings| settings.keys.schedule = RotationSchedule::new(patient).unwrap()).await;
    let second = kid(&server, KeyState::Pending).await.unwrap();
    let published_at = server.store.keys().await.unwrap().pending(Algorithm::Es256).unwrap().publish_sequence;
    let report = |held| report(published_at, vec![Held { sequence: held, count: 2 }]);
    server.store.report_replica(&report(published_at.0 - 1)).await.unwrap();
    server.clock.advance(30 * DAY);
    server.rounds.make().await.unwrap();
    let first = issue(&server).await.key_id;
    assert_ne!(first, second);
    let keys = list(&server).await;
    let pending = keys.iter().find(|key| key.key_id == second).unwrap();
    assert_eq!((pending.verifiers_ready, pending.verifiers_total), (0, 2));
    // Meanwhile the end of the active key is put off: its tokens are not cut.
    let long = v1::IssueTokenRequest { ttl: seconds(DAY), ..for_alice() };
    server.clock.advance(5 * HOUR);
    server.rounds.make().await.unwrap();
    assert_eq!(accepted(server.root.issue(long).await).expires_in, seconds(DAY));

    server.store.report_replica(&report(published_at.0)).await.unwrap();
    server.rounds.make().await.unwrap();
    assert_eq!(issue(&server).await.key_id, second, "all hold it");
    // The next time they do not, and it goes on without them.
    let third = kid(&server, KeyState::Pending).await.unwrap();
    server.clock.advance(30 * DAY + 6 * HOUR - 1);
    server.rounds.make().await.unwrap();
    assert_eq!(issue(&server).await.key_id, second);
    server.clock.advance(1);
    server.rounds.make().await.unwrap();
    assert_eq!(issue(&server).await.key_id, third);
    // Nor does it wait for them when it is to be at once, however long the next one has been published.
    let fourth = kid(&server, KeyState::Pending).await.unwrap();
    server.clock.advance(2 * DAY);
    assert_eq!(rotate(&server, false).await[0].state(), v1::KeyState::Pending);
    let held = server.store.keys().await.unwrap().sequence;
    server.store.report_replica(&ReplicaReport { held, ..report(0) }).await.unwrap();
    assert_eq!(rotate(&server, true).await[0].state(), v1::KeyState::Active);
    assert_eq!(issue(&server).await.key_id, fourth);
}

#[tokio::test]
async fn a_key_that_does_not_open_is_a_problem_of_its_own() {
    let server = TestServer::start().await;
    let (store, clock) = (&server.store, &server.clock);
    let token = issue(&server).await;
    let set = store.keys().await.unwrap();
    let mut broken = set.active(Algorithm::Es256).cloned().unwrap();
    broken.sealed.as_mut().unwrap()[30] ^= 1;
    let foreign = key("foreign", START).retire(at(START), Duration::ZERO).unwrap();
    let change = KeyChange::of(&set).put(broken).put(foreign);
    store.change_keys(&change).await.unwrap().unwrap();
    server.rounds.make().await.unwrap();
    // It is in memory still, and goes on; but it is a problem, and said to be one.
    assert_eq!(issue(&server).await.key_id, token.key_id);
    let keys = list(&server).await;
    let listed = keys.iter().find(|key| key.key_id == token.key_id).unwrap();
    assert!(listed.problem.contains("damaged"), "{listed:?}");
    // After a restart what it signed still verifies, by its public half; it signs nothing more.
    let again = replica(store, settings(), clock).await;
    accepted(again.root.check(&token.access_token).await);
    assert_refused(again.root.issue(for_alice()).await, Code::FailedPrecondition, "NO_ACTIVE_KEY");
    let metrics = again.get("/metrics").await.2;
    assert!(metrics.contains(&format!("tokend_key_usable{{key_id=\"{}\"}} 0", token.key_id)), "{metrics}");
    // Rotating is the way out.
    rotate(&again, true).await;
    server.rounds.make().await.unwrap();
    again.rounds.make().await.unwrap();
    let new = issue(&again).await;
    accepted(again.root.check(&new.access_token).await);
}

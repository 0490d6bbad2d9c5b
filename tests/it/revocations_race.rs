//! Races of revoking against verifying, at two replicas.
//!
//! What must hold: once a replica has refused a token, it never takes it again; the one that revoked refuses from its answer on;
//! the other one from the end of its next round on.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokend::{proto::v1::revoke_token_request::Target, store::Store};
use tonic::{Code, Status};

use crate::{
    harness::{TestClient, TestServer, accepted, assert_refused, manual_clock, settings},
    postgres::Database,
    revoke_calls::{begin, revoke},
    store_backends::{on_every_store, open_postgres, rounds},
};

on_every_store!(revoke_against_verify);

/// Rounds on each backend as a rule, in so many lanes at once.
const ROUNDS: usize = 240;
const LANES: usize = 4;

async fn revoke_against_verify(store: Arc<Store>) {
    let clock = manual_clock();
    let here = Arc::new(TestServer::on(Arc::clone(&store), settings(), Arc::clone(&clock)).await);
    let elsewhere = Arc::new(TestServer::on(store, settings(), clock).await);
    let lanes = (0..LANES).map(|lane| {
        let (here, elsewhere) = (Arc::clone(&here), Arc::clone(&elsewhere));
        tokio::spawn(async move {
            for round in 0..rounds(ROUNDS) / LANES {
                one_round(&here, &elsewhere, lane + round).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
}

/// One token is revoked at one replica while both are asked for it.
async fn one_round(here: &TestServer, elsewhere: &TestServer, number: usize) {
    let begun = begin(&here.root).await;
    let target = match number % 3 {
        0 => Target::Token(begun.access_token.clone()),
        1 => Target::JwtId(begun.jwt_id.clone()),
        _ => Target::SessionId(begun.session_id.clone()),
    };
    let done = Arc::new(AtomicBool::new(false));
    let watch = |server: &TestServer| {
        tokio::spawn(ask(server.root.clone(), begun.access_token.clone(), Arc::clone(&done)))
    };
    let asking = [watch(here), watch(elsewhere)];
    accepted(revoke(&here.root, target).await);
    assert!(is_revoked(here.root.check(&begun.access_token).await), "refused from the answer on");
    elsewhere.rounds.make().await.unwrap();
    assert!(is_revoked(elsewhere.root.check(&begun.access_token).await), "refused from the round on");
    done.store(true, SeqCst);
    for asking in asking {
        asking.await.unwrap();
    }
}

/// Asks for a token until it is done, and once more.
async fn ask(client: TestClient, token: String, done: Arc<AtomicBool>) {
    let mut refused = false;
    loop {
        let last = done.load(SeqCst);
        let answer = is_revoked(client.check(&token).await);
        assert!(answer || !refused, "refused, and then taken again");
        refused = answer;
        if last {
            break;
        }
    }
    assert!(refused, "everybody knew");
}

fn is_revoked<T>(answer: Result<T, Status>) -> bool {
    if answer.is_ok() {
        return false;
    }
    assert_refused(answer, Code::InvalidArgument, "TOKEN_REVOKED");
    true
}

const MEASURED: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_here_is_refused_there_within_a_second() {
    let Some(database) = Database::create().await else { return };
    let clock = manual_clock();
    let replica = async || {
        let mut settings = settings();
        settings.serving.refresh_interval = Duration::from_millis(500);
        TestServer::on(open_postgres(&database).await, settings, Arc::clone(&clock)).await
    };
    let (here, there) = (replica().await, replica().await);
    let mut taken = Vec::new();
    for _ in 0..MEASURED {
        let begun = begin(&here.root).await;
        accepted(there.root.check(&begun.access_token).await);
        let began = Instant::now();
        accepted(revoke(&here.root, Target::Token(begun.access_token.clone())).await);
        while !is_revoked(there.root.check(&begun.access_token).await) {
            tokio::task::yield_now().await;
        }
        taken.push(began.elapsed());
    }
    taken.sort_unstable();
    let (half, most) = (taken[MEASURED / 2], taken[MEASURED * 99 / 100]);
    let said = format!("revoked here, refused there: p50 {half:?}, p99 {most:?}, of {MEASURED}\n");
    let _ = std::io::stderr().write_all(said.as_bytes());
    assert!(most < Duration::from_secs(1), "p99 {most:?}");
}

//! PostgreSQL is killed while callers wait for answers, again and again: what was answered holds.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokend::proto::v1::revoke_token_request::Target;
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::{JoinSet, block_in_place},
};
use tonic::{Code, Status};

use crate::{
    faults_scene::{Scene, begin, refresh, revoke, until_accepted},
    harness::{TestClient, accepted, assert_refused, reason},
};

const WRITERS: usize = 4;
const ROUNDS: usize = 3;

/// Something that the server said is done. A later one of the same session takes the place of the one before.
enum Answered {
    /// The session of that number has this refresh token, and this access token.
    Good(usize, String, String),
    /// The session of that number was revoked.
    Revoked(usize),
}

/// A session as it was last answered.
#[derive(Clone)]
struct Known {
    refresh: String,
    access: String,
    is_revoked: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_outlives_a_kill_of_postgres() {
    let Some(mut scene) = Scene::set().await else { return };
    let numbers = Arc::new(AtomicUsize::new(0));
    let mut known: Vec<Option<Known>> = Vec::new();
    for round in 0..ROUNDS {
        let (done, mut answers) = unbounded_channel();
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            writers.spawn(write(scene.server.root.clone(), Arc::clone(&numbers), done.clone()));
        }
        drop(done);
        let enough = 40 + 23 * round;
        let mut count = 0;
        while let Some(answer) = answers.recv().await {
            note(&mut known, answer);
            count += 1;
            if count == enough {
                block_in_place(|| scene.postgres.kill());
            }
        }
        assert!(count >= enough, "the writers ended before the kill");
        writers.join_all().await;
        block_in_place(|| scene.postgres.resume());
        let root = &scene.server.root;
        until_accepted(async || begin(root).await).await;
        until_accepted(async || {
            scene.server.rounds.make().await.map_err(|error| Status::unavailable(error.to_string()))
        })
        .await;
        check(root, &mut known).await;
    }
    assert!(known.iter().flatten().filter(|known| known.is_revoked).count() >= ROUNDS);
    assert!(known.iter().flatten().filter(|known| !known.is_revoked).count() >= ROUNDS);
}

/// Begins sessions, uses their refresh tokens and revokes every other of them, until the store is away.
async fn write(root: TestClient, numbers: Arc<AtomicUsize>, done: UnboundedSender<Answered>) {
    loop {
        let number = numbers.fetch_add(1, SeqCst);
        let Some(begun) = unless_away(begin(&root).await) else { return };
        let mut token = begun.refresh_token;
        done.send(Answered::Good(number, token.clone(), begun.access_token)).unwrap();
        for _ in 0..3 {
            let Some(refreshed) = unless_away(refresh(&root, &token).await) else { return };
            token = refreshed.refresh_token;
            done.send(Answered::Good(number, token.clone(), refreshed.access_token)).unwrap();
        }
        if number.is_multiple_of(2) {
            let Some(_) = unless_away(revoke(&root, Target::Token(token)).await) else { return };
            done.send(Answered::Revoked(number)).unwrap();
        }
    }
}

fn unless_away<T>(answer: Result<T, Status>) -> Option<T> {
    if let Err(status) = &answer {
        assert_eq!((status.code(), reason(status).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
    }
    answer.ok()
}

fn note(known: &mut Vec<Option<Known>>, answer: Answered) {
    let (Answered::Good(number, ..) | Answered::Revoked(number)) = answer;
    known.resize(known.len().max(number + 1), None);
    match answer {
        Answered::Good(_, refresh, access) => {
            known[number] = Some(Known { refresh, access, is_revoked: false });
        }
        Answered::Revoked(_) => known[number].as_mut().unwrap().is_revoked = true,
    }
}

/// Every session is what was last answered about it. A request that was cut off may have been done: then a refresh token was
/// used once more, and is answered again, or the session has ended, as its caller wanted it to.
async fn check(root: &TestClient, known: &mut [Option<Known>]) {
    let mut ended = 0;
    for known in known.iter_mut().flatten() {
        let refreshed = refresh(root, &known.refresh).await;
        if !known.is_revoked && refreshed.is_ok() {
            let refreshed = accepted(refreshed);
            accepted(root.check(&known.access).await);
            (known.refresh, known.access) = (refreshed.refresh_token, refreshed.access_token);
        } else {
            ended += usize::from(!known.is_revoked);
            known.is_revoked = true;
            assert_refused(refreshed, Code::Unauthenticated, "REFRESH_TOKEN_INVALID");
            assert_refused(root.check(&known.access).await, Code::InvalidArgument, "TOKEN_REVOKED");
        }
    }
    assert!(ended <= WRITERS, "no more than the last request of each writer");
}

//! Rotation under load: two replicas on PostgreSQL issue and verify without a pause, each the other's tokens too, while the
//! keys are rotated at once again and again.

use std::{
    collections::VecDeque,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokend::proto::v1;
use tokio::task::JoinSet;

use crate::{
    harness::{TestClient, TestServer, accepted, for_alice, manual_clock, settings},
    key_calls::{issue, rotate},
    postgres::Database,
    store_backends::open_postgres,
};

const ROTATIONS: usize = 20;
/// Verifications between two rotations, at the least.
const BETWEEN: usize = 200;
/// Far longer than a rotation takes: only one that hangs meets it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A replica with a store of its own, as in a process of its own.
async fn replica(database: &Database) -> TestServer {
    let mut settings = settings();
    settings.serving.refresh_interval = Duration::from_millis(200);
    TestServer::on(open_postgres(database).await, settings, manual_clock()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_is_refused_through_twenty_rotations_on_postgres() {
    let Some(database) = Database::create().await else { return };
    let replicas = [replica(&database).await, replica(&database).await];
    let roots = replicas.each_ref().map(|replica| replica.root.clone());
    let (done, verified) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for caller in 0..4 {
        callers.spawn(call(caller, roots.clone(), Arc::clone(&done), Arc::clone(&verified)));
    }
    let mut signers = vec![issue(&replicas[0]).await.key_id];
    for rotation in 0..ROTATIONS {
        let rotated = tokio::time::timeout(PATIENCE, rotate_at(&replicas, rotation % 2)).await;
        let signer = rotated.expect("the rotation hangs");
        assert!(!signers.contains(&signer), "another key each time");
        signers.push(signer);
        // And some load under this key alone.
        let enough = verified.load(SeqCst) + BETWEEN;
        while verified.load(SeqCst) < enough && !callers.is_empty() {
            tokio::task::yield_now().await;
            if let Some(ended) = callers.try_join_next() {
                ended.unwrap();
            }
        }
    }
    done.store(true, SeqCst);
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    let verified = verified.load(SeqCst);
    assert!(verified >= BETWEEN * ROTATIONS, "{verified}");
    // Past the capture of test output: the figure belongs in the log.
    let _ = writeln!(std::io::stderr(), "{ROTATIONS} rotations, {verified} verifications, none refused");
}

/// Rotates at one replica, and waits until both sign with the next key, which is answered.
async fn rotate_at(replicas: &[TestServer; 2], at: usize) -> String {
    let next = rotate(&replicas[at], true).await.remove(0).key_id;
    for replica in replicas {
        while issue(replica).await.key_id != next {
            tokio::task::yield_now().await;
        }
    }
    next
}

/// Issues at one replica and verifies at both, each token at once and again when it is older.
async fn call(caller: usize, roots: [TestClient; 2], done: Arc<AtomicBool>, verified: Arc<AtomicUsize>) {
    let mut kept = VecDeque::new();
    let mut turn = caller;
    while !done.load(SeqCst) {
        turn += 1;
        let token = accepted(roots[turn % 2].issue(for_alice()).await).access_token;
        kept.push_back(token.clone());
        let old = if kept.len() > 40 { kept.pop_front() } else { kept.front().cloned() };
        for token in [Some(token), old].into_iter().flatten() {
            for root in &roots {
                let request = v1::VerifyTokenRequest {
                    token: token.clone(),
                    audiences: vec!["orders".to_owned()],
                    ..Default::default()
                };
                accepted(root.verify(request).await);
                verified.fetch_add(1, SeqCst);
            }
        }
    }
}

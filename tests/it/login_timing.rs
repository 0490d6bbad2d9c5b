//! How long a refused login takes tells nobody whether there is such a user.

use std::time::{Duration, Instant};

use tokend::{access::HashCost, proto::v1};

use crate::{
    harness::{TestServer, accepted, refused},
    login::{PASSWORD, alice, log_in, with_alice},
    users::{create, update, user},
};

/// How many times each kind is tried. The kinds take turns, so that whatever else the machine does strikes all alike.
const ROUNDS: usize = 25;

/// The middle of the ratios of neighbours must be this close to 1. Without the work for a user that does not exist it is about
/// 0.05, and a noisy machine does not move the middle that far.
const CLOSE: std::ops::Range<f64> = 0.8..1.25;

/// A machine may be so busy that a whole series says nothing; a leak shows in each.
const SERIES: usize = 4;

async fn time(server: &TestServer, request: v1::LoginRequest) -> Duration {
    let start = Instant::now();
    let status = refused(log_in(&server.root, request).await);
    let taken = start.elapsed();
    assert_eq!(crate::harness::reason(&status), "LOGIN_FAILED");
    taken
}

fn middle(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_wrong_and_disabled_take_the_same_time() {
    let server = TestServer::with(|settings| {
        // What it costs in production.
        settings.people.hashing.cost = HashCost { memory: 19 * 1024, passes: 2 };
    })
    .await;
    with_alice(&server).await;
    let gone = accepted(create(&server.root, user("gone"), PASSWORD).await);
    accepted(update(&server.root, v1::User { disabled: true, ..gone }, &["disabled"]).await);
    let named = |username: &str, password: &str| v1::LoginRequest {
        username: username.to_owned(),
        scopes: vec![],
        ..alice(password)
    };
    let mut seen = Vec::new();
    for _ in 0..SERIES {
        let (mut unknown, mut disabled) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let wrong = time(&server, named("alice", "wrong horse battery")).await.as_secs_f64();
            let other = named(&format!("mallory-{round}"), PASSWORD);
            unknown.push(time(&server, other).await.as_secs_f64() / wrong);
            disabled.push(time(&server, named("gone", PASSWORD)).await.as_secs_f64() / wrong);
        }
        let (unknown, disabled) = (middle(unknown), middle(disabled));
        if CLOSE.contains(&unknown) && CLOSE.contains(&disabled) {
            return;
        }
        seen.push((unknown, disabled));
    }
    panic!("unknown and disabled users, as multiples of a wrong password's time: {seen:.3?}");
}

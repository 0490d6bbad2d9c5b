//! Stories of those who guess passwords.

use std::time::Duration;

use tokend::{access::Backoff, server::Settings};
use tonic::{Code, Status, transport::Endpoint};
use tonic_types::StatusExt as _;

use crate::{
    counting_store::CountingStore,
    harness::{TestClient, TestServer, accepted, assert_refused, refused, settings},
    login::{PASSWORD, alice, log_in, with_alice},
    users::set_password,
};

/// Three free failures of a name, and waits of at most 8 seconds.
const fn strict(settings: &mut Settings) {
    let (longest, forget) = (Duration::from_secs(8), Duration::from_secs(3600));
    settings.people.limits.name_at_source = Backoff { free: 3, longest, forget };
}

fn wait(status: &Status) -> u64 {
    status.get_details_retry_info().unwrap().retry_delay.unwrap().as_secs()
}

#[tokio::test]
async fn guessing_is_slowed_and_the_owner_gets_in_after_the_wait() {
    let server = TestServer::with(strict).await;
    with_alice(&server).await;
    for _ in 0..3 {
        assert_refused(
            log_in(&server.root, alice("guess guess")).await,
            Code::Unauthenticated,
            "LOGIN_FAILED",
        );
    }
    for expected in [1, 2, 4, 8, 8] {
        // The right password is no way past a limit, or guessing would go on.
        for password in ["guess guess", PASSWORD] {
            let answer = log_in(&server.root, alice(password)).await;
            let status = assert_refused(answer, Code::ResourceExhausted, "RATE_LIMITED");
            assert_eq!(wait(&status), expected);
        }
        server.clock.advance(i64::try_from(expected).unwrap());
        assert_refused(
            log_in(&server.root, alice("guess guess")).await,
            Code::Unauthenticated,
            "LOGIN_FAILED",
        );
    }
    server.clock.advance(8);
    accepted(log_in(&server.root, alice(PASSWORD)).await);
    accepted(log_in(&server.root, alice(PASSWORD)).await);
    let metrics = server.get("/metrics").await.2;
    assert!(metrics.contains("tokend_logins_total{result=\"RATE_LIMITED\"} 10"), "{metrics}");
}

#[tokio::test]
async fn an_unknown_name_is_slowed_just_the_same() {
    let server = TestServer::with(strict).await;
    with_alice(&server).await;
    let mut answers = Vec::new();
    for username in ["alice", "mallory"] {
        for _ in 0..6 {
            let request =
                tokend::proto::v1::LoginRequest { username: username.to_owned(), ..alice("guess guess") };
            let status = refused(log_in(&server.root, request).await);
            answers.push((status.code(), status.message().to_owned(), status.details().to_vec()));
        }
    }
    let (known, unknown) = answers.split_at(6);
    assert_eq!(known, unknown);
    assert_eq!(known[5].0, Code::ResourceExhausted);
}

#[tokio::test]
async fn an_unavailable_store_counts_no_failure() {
    let mut limited = settings();
    strict(&mut limited);
    let (server, store) = CountingStore::serve(limited).await;
    with_alice(&server).await;
    store.set_down(true);
    for _ in 0..10 {
        assert_refused(log_in(&server.root, alice(PASSWORD)).await, Code::Unavailable, "STORE_UNAVAILABLE");
    }
    store.set_down(false);
    accepted(log_in(&server.root, alice(PASSWORD)).await);
}

/// A client on a connection that comes from this address.
async fn from(server: &TestServer, source: &str) -> TestClient {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap();
    let channel = endpoint.local_address(Some(source.parse().unwrap())).connect().await.unwrap();
    TestClient { channel, ..server.root.clone() }
}

#[tokio::test]
async fn who_guesses_elsewhere_does_not_hold_up_the_owner_at_home() {
    let server = TestServer::with(strict).await;
    with_alice(&server).await;
    let (home, elsewhere) = (from(&server, "127.0.0.1").await, from(&server, "127.0.0.2").await);
    accepted(log_in(&home, alice(PASSWORD)).await);
    for _ in 0..3 {
        assert_refused(log_in(&elsewhere, alice("guess guess")).await, Code::Unauthenticated, "LOGIN_FAILED");
    }
    let held_up = log_in(&elsewhere, alice(PASSWORD)).await;
    assert_refused(held_up, Code::ResourceExhausted, "RATE_LIMITED");
    accepted(log_in(&home, alice(PASSWORD)).await);
}

#[tokio::test]
async fn many_at_once_are_no_way_around() {
    let server = TestServer::with(strict).await;
    with_alice(&server).await;
    let guesses: Vec<_> = (0..30)
        .map(|_| {
            let root = server.root.clone();
            tokio::spawn(async move { refused(log_in(&root, alice("guess guess")).await).code() })
        })
        .collect();
    let mut tried = 0;
    for guess in guesses {
        tried += u32::from(guess.await.unwrap() == Code::Unauthenticated);
    }
    assert_eq!(tried, 3);
}

#[tokio::test]
async fn a_flood_finds_the_end_of_the_queue() {
    let server = TestServer::with(|settings| {
        settings.people.hashing.parallelism = 1;
        settings.people.hashing.queue = 2;
        settings.people.hashing.cost.memory = 19 * 1024;
    })
    .await;
    let user = with_alice(&server).await;
    let flood: Vec<_> = (0..40)
        .map(|_| {
            let root = server.root.clone();
            tokio::spawn(async move { log_in(&root, alice(PASSWORD)).await })
        })
        .collect();
    // An operator's password waits for its turn, however many logins are refused.
    for _ in 0..8 {
        accepted(set_password(&server.root, &user.user_id, PASSWORD).await);
    }
    let (mut served, mut turned_away) = (0, 0);
    for login in flood {
        match login.await.unwrap() {
            Ok(_) => served += 1,
            Err(status) => {
                let status = assert_refused(Err::<(), _>(status), Code::ResourceExhausted, "RATE_LIMITED");
                assert!(wait(&status) > 0);
                turned_away += 1;
            }
        }
    }
    assert!(served >= 3 && turned_away > 0, "{served} served, {turned_away} turned away");
    // A full queue counts no failure.
    accepted(set_password(&server.root, &user.user_id, "another password").await);
    accepted(log_in(&server.root, alice("another password")).await);
}

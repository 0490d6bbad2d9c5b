//! Exchange and introspection, and what is revoked: no token that was exchanged outlives its session.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokend::{
    proto::v1::{
        self,
        revoke_token_request::{SubjectTarget, Target},
    },
    store::Store,
};
use tonic::Code;

use crate::{
    caller_workloads::{CLUSTER, by_cluster, cluster_keys, pod, trusting},
    counting_store::CountingStore,
    exchanges::{alices, client, exchange_by, exchange_of, orders_may, said, texts},
    harness::{TestClient, TestServer, accepted, assert_refused, for_alice, manual_clock, settings},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::with,
    sessions::sid,
    store_backends::{on_every_store, rounds},
};

const BAD: Code = Code::InvalidArgument;
const REVOKED: &str = "TOKEN_REVOKED";

async fn revoke(by: &TestClient, target: Target) {
    let request = v1::RevokeTokenRequest { target: Some(target), ..Default::default() };
    accepted(by.tokens().revoke_token(by.request(request)).await);
}

/// An access token for `alice` at `orders` that is one of a session.
async fn of_session(by: &TestClient) -> String {
    let request = v1::IssueTokenRequest { include_refresh_token: true, ..for_alice() };
    accepted(by.issue(request).await).access_token
}

/// Exchanges a token for a client with the same permissions.
async fn exchanged(by: &TestClient, subject_token: &str) -> String {
    accepted(by.exchange(exchange_of(subject_token)).await).access_token
}

/// Checks that the token is good for nothing any more.
async fn assert_gone(server: &TestServer, token: &str) {
    assert_refused(server.root.check(token).await, BAD, REVOKED);
    assert_refused(server.root.exchange(exchange_of(token)).await, BAD, REVOKED);
    assert!(!accepted(server.root.introspect(token, &["orders"]).await).active);
}

#[tokio::test]
async fn the_end_of_a_session_reaches_all_that_came_of_it() {
    let server = TestServer::start().await;
    let orders = client(&server, "orders", orders_may()).await;
    let subject = of_session(&server.root).await;
    let other = exchanged(&orders, &alices(&server).await).await;
    let first = exchanged(&orders, &subject).await;
    let actor = accepted(server.root.issue(for_alice()).await).access_token;
    let second = accepted(orders.exchange(exchange_by(&first, &actor)).await).access_token;
    assert_eq!((sid(&first), sid(&second)), (sid(&subject), sid(&subject)));
    // Whose session it is does not follow from who acts in it.
    let acting = accepted(orders.exchange(exchange_by(&other, &first)).await).access_token;
    assert!(said(&server, &acting).await.get("sid").is_none());

    revoke(&server.root, Target::SessionId(sid(&subject))).await;
    for token in [&subject, &first, &second] {
        assert_gone(&server, token).await;
    }
    assert_refused(orders.exchange(exchange_by(&other, &first)).await, BAD, REVOKED);
    for token in [&other, &acting] {
        accepted(server.root.check(token).await);
    }
}

#[tokio::test]
async fn what_a_revocation_reaches_by_its_target() {
    let server = TestServer::start().await;
    let orders = client(&server, "orders", orders_may()).await;
    let subject = || async {
        let subject = accepted(server.root.issue(for_alice()).await);
        (exchanged(&orders, &subject.access_token).await, subject)
    };
    // A single token: not what came of it before.
    let (exchanged, issued) = subject().await;
    revoke(&server.root, Target::JwtId(issued.jwt_id)).await;
    assert_gone(&server, &issued.access_token).await;
    accepted(server.root.check(&exchanged).await);
    revoke(&server.root, Target::Token(exchanged.clone())).await;
    assert_gone(&server, &exchanged).await;
    // The client that exchanged: not what it was exchanged for.
    let (exchanged, issued) = subject().await;
    revoke(&server.root, Target::ClientId("orders".to_owned())).await;
    assert_gone(&server, &exchanged).await;
    accepted(server.root.check(&issued.access_token).await);
    // The subject: both.
    server.clock.advance(1);
    let (exchanged, issued) = subject().await;
    let target = SubjectTarget { subject: "alice".to_owned(), issued_before_time: None };
    revoke(&server.root, Target::Subject(target)).await;
    assert_gone(&server, &exchanged).await;
    assert_gone(&server, &issued.access_token).await;
}

#[tokio::test]
async fn another_issuers_token_is_revoked_by_its_own_id_alone() {
    let stand_in = JwksStandIn::start(Answer::Set(cluster_keys())).await;
    let server = TestServer::with(trusting(&stand_in.uri())).await;
    let may = v1::Permissions {
        exchange_issuers: texts(&[CLUSTER]),
        exchange_audiences: texts(&["tokend"]),
        exchange_subjects: texts(&["*"]),
        ..orders_may()
    };
    let orders = client(&server, "orders", may).await;
    let pod = with(&with(&pod(), "jti", "pod-1"), "client_id", "orders");
    let request =
        || v1::ExchangeTokenRequest { audiences: texts(&["billing"]), ..exchange_of(&by_cluster(&pod)) };
    // Clients and subjects of that issuer are not those of this one.
    let subject = pod["sub"].as_str().unwrap().to_owned();
    revoke(&server.root, Target::Subject(SubjectTarget { subject, issued_before_time: None })).await;
    revoke(&server.root, Target::ClientId("orders".to_owned())).await;
    accepted(orders.exchange(request()).await);
    revoke(&server.root, Target::JwtId("pod-1".to_owned())).await;
    assert_refused(orders.exchange(request()).await, BAD, REVOKED);
}

#[tokio::test]
async fn stale_revocations_make_an_exchange_unavailable() {
    let server = TestServer::with(|settings| {
        settings.revocations.staleness_bound = Duration::from_secs(5);
        settings.revocations.serve_stale = false;
    })
    .await;
    let token = alices(&server).await;
    let revoked = alices(&server).await;
    revoke(&server.root, Target::Token(revoked.clone())).await;
    server.clock.advance(6);
    const STALE: &str = "STATE_STALE";
    assert_refused(server.root.introspect(&token, &["orders"]).await, Code::Unavailable, STALE);
    assert_refused(server.root.exchange(exchange_of(&token)).await, Code::Unavailable, STALE);
    // What is known to be bad stays bad.
    assert!(!accepted(server.root.introspect(&revoked, &["orders"]).await).active);
    assert_refused(server.root.exchange(exchange_of(&revoked)).await, BAD, REVOKED);
    server.rounds.make().await.unwrap();
    assert!(accepted(server.root.introspect(&token, &["orders"]).await).active);
    accepted(server.root.exchange(exchange_of(&token)).await);
}

/// How often the race is run on each store.
const ROUNDS: usize = 40;
/// How many exchange at each replica.
const RACERS: usize = 2;

on_every_store!(no_exchanged_token_outlives_the_end_of_its_session);

/// Once the revocation of a session is answered, nothing that was exchanged in it is good at that replica, and nothing is
/// exchanged; nor at another one, once that has made a round.
async fn no_exchanged_token_outlives_the_end_of_its_session(store: Arc<Store>) {
    let clock = manual_clock();
    let replica = || CountingStore::quiet(&store);
    let here = TestServer::on(replica(), settings(), clock.clone()).await;
    let elsewhere = TestServer::on(replica(), settings(), clock).await;
    let (made, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for round in 0..rounds(ROUNDS) {
        let subject = of_session(&here.root).await;
        let ended = Arc::new(AtomicBool::new(false));
        let racers: Vec<_> = (0..RACERS)
            .flat_map(|_| [(here.root.clone(), true), (elsewhere.root.clone(), false)])
            .map(|(by, is_here)| {
                let (subject, ended) = (subject.clone(), Arc::clone(&ended));
                let (made, refused) = (Arc::clone(&made), Arc::clone(&refused));
                tokio::spawn(async move {
                    let mut tokens = vec![subject];
                    // Here until that is refused, elsewhere as long as the session lives and once more.
                    loop {
                        let was_ended = ended.load(SeqCst);
                        match by.exchange(exchange_of(tokens.last().unwrap())).await {
                            Ok(answer) => {
                                assert!(!(is_here && was_ended), "exchanged after the session had ended");
                                made.fetch_add(1, SeqCst);
                                tokens.push(answer.access_token);
                            }
                            Err(status) => {
                                assert_refused::<()>(Err(status), BAD, REVOKED);
                                refused.fetch_add(1, SeqCst);
                                break;
                            }
                        }
                        if was_ended {
                            break;
                        }
                    }
                    tokens
                })
            })
            .collect();
        // Now at the beginning of the race, now in its middle.
        for _ in 0..round % 10 {
            accepted(here.root.check(&subject).await);
        }
        revoke(&here.root, Target::SessionId(sid(&subject))).await;
        ended.store(true, SeqCst);
        let mut tokens = Vec::new();
        for racer in racers {
            tokens.extend(racer.await.unwrap());
        }
        elsewhere.rounds.make().await.unwrap();
        for token in &tokens {
            for server in [&here, &elsewhere] {
                assert_refused(server.root.check(token).await, BAD, REVOKED);
            }
        }
        for server in [&here, &elsewhere] {
            assert_gone(server, tokens.last().unwrap()).await;
        }
    }
    // It was a race: neither side won each time.
    let (made, refused) = (made.load(SeqCst), refused.load(SeqCst));
    assert!(made > rounds(ROUNDS), "{made} exchanges were made");
    assert!(refused >= rounds(ROUNDS) * RACERS, "{refused} exchanges were refused");
}

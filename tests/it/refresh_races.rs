//! Races for refresh tokens, at two replicas on one store of each kind. One round of a race proves little.

use std::{sync::Arc, time::Duration};

use tokend::{
    proto::v1::{
        self,
        revoke_token_request::{SubjectTarget, Target},
    },
    store::Store,
};
use tokio::{sync::Barrier, task::JoinSet};
use tonic::{Code, Status};

use crate::{
    counting_store::CountingStore,
    harness::{TestClient, TestServer, accepted, assert_refused, manual_clock, reason, refused, settings},
    sessions::{assert_invalid, begin, refresh, refreshed, session_for_alice, sid, using},
    store_backends::{on_every_store, rounds},
};

on_every_store!(
    of_many_refreshes_one_rotates_and_all_are_answered_alike,
    of_many_refreshes_without_a_window_one_wins_and_the_session_ends,
    the_next_token_and_the_one_before_at_once_leave_one_session_or_none,
    after_a_revocation_nothing_of_the_session_is_good,
);

/// Two replicas.
async fn replicas(store: Arc<Store>, window: u64) -> [TestServer; 2] {
    let store = CountingStore::quiet(&store);
    let own_settings = || {
        let mut settings = settings();
        settings.sessions.reuse_window = Duration::from_secs(window);
        settings
    };
    let clock = manual_clock();
    let here = TestServer::on(store.clone(), own_settings(), clock.clone()).await;
    [here, TestServer::on(store, own_settings(), clock).await]
}

type Answer = Result<v1::RefreshTokenResponse, Status>;

/// So many uses of each of the tokens at once, half of them at either replica.
async fn race(replicas: &[TestServer; 2], tokens: &[&str], each: usize) -> Vec<Answer> {
    let start = Arc::new(Barrier::new(tokens.len() * each));
    let mut racers = JoinSet::new();
    for racer in 0..tokens.len() * each {
        let by = replicas[racer / tokens.len() % 2].root.clone();
        let (request, start) = (using(tokens[racer % tokens.len()]), Arc::clone(&start));
        racers.spawn(async move {
            start.wait().await;
            refresh(&by, request).await
        });
    }
    racers.join_all().await
}

/// How many refreshes had this outcome, at both replicas.
async fn counted(replicas: &[TestServer; 2], outcome: &str) -> u32 {
    let line = format!("tokend_refreshes_total{{outcome=\"{outcome}\"}} ");
    let mut sum = 0;
    for replica in replicas {
        let metrics = replica.get("/metrics").await.2;
        let count = metrics.lines().find_map(|found| found.strip_prefix(&line)).unwrap();
        sum += count.parse::<u32>().unwrap();
    }
    sum
}

async fn of_many_refreshes_one_rotates_and_all_are_answered_alike(store: Arc<Store>) {
    let replicas = replicas(store, 5).await;
    let mut token = begin(&replicas[0].root).await;
    let rounds = u32::try_from(rounds(6)).unwrap();
    for _ in 0..rounds {
        let answers = race(&replicas, &[&token], 100).await;
        let next: Vec<String> = answers.into_iter().map(|answer| accepted(answer).refresh_token).collect();
        assert!(next.iter().all(|other| *other == next[0]), "one successor");
        assert_ne!(next[0], token);
        token = next[0].clone();
    }
    assert_eq!(counted(&replicas, "rotated").await, rounds);
    assert_eq!(counted(&replicas, "repeated").await, 99 * rounds);
    refreshed(&replicas[1].root, &token).await;
}

async fn of_many_refreshes_without_a_window_one_wins_and_the_session_ends(store: Arc<Store>) {
    let replicas = replicas(store, 0).await;
    for each in [100; 2].into_iter().chain(std::iter::repeat_n(2, rounds(20))) {
        let token = begin(&replicas[0].root).await;
        let answers = race(&replicas, &[&token], each).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        let mut reasons: Vec<String> =
            lost.iter().flat_map(|answer| answer.as_ref().err()).map(reason).collect();
        reasons.sort_unstable();
        reasons.dedup();
        assert_eq!(reasons.last().unwrap(), "REFRESH_TOKEN_REUSED", "{reasons:?}");
        assert!(reasons.len() == 1 || reasons[0] == "REFRESH_TOKEN_INVALID", "{reasons:?}");
        let won = accepted(won.into_iter().next().unwrap());
        for replica in &replicas {
            assert_invalid(&replica.root, &won.refresh_token).await;
            replica.rounds.make().await.unwrap();
            let status = refused(replica.root.check(&won.access_token).await);
            assert_refused(Err::<(), _>(status), Code::InvalidArgument, "TOKEN_REVOKED");
        }
    }
}

/// The good token and its predecessor at once: either the predecessor comes first and is answered with the good one, or it comes
/// after the good one was used, and the session ends. Never are there two good tokens.
async fn the_next_token_and_the_one_before_at_once_leave_one_session_or_none(store: Arc<Store>) {
    let replicas = replicas(store, 5).await;
    let mut ends = 0;
    for _ in 0..rounds(60) {
        let used = begin(&replicas[0].root).await;
        let good = refreshed(&replicas[1].root, &used).await;
        let answers = race(&replicas, &[&good, &used], 2).await;
        let mut next: Vec<String> =
            answers.iter().flatten().map(|answer| answer.refresh_token.clone()).collect();
        let ended = answers
            .iter()
            .filter_map(|answer| answer.as_ref().err())
            .any(|status| reason(status) == "REFRESH_TOKEN_REUSED");
        next.retain(|token| *token != good);
        next.dedup();
        assert!(next.len() <= 1, "two tokens took its place");
        match next.pop() {
            Some(next) if ended => assert_invalid(&replicas[0].root, &next).await,
            Some(next) => drop(refreshed(&replicas[0].root, &next).await),
            None => assert!(ended, "no request succeeded, and the session goes on"),
        }
        ends += u32::from(ended);
    }
    assert!(ends > 0, "the race never went that way");
}

/// What is revoked in a round.
fn target(round: usize, session_id: &str) -> Target {
    match round % 3 {
        0 => Target::SessionId(session_id.to_owned()),
        1 => Target::Subject(SubjectTarget { subject: "alice".to_owned(), issued_before_time: None }),
        _ => Target::ClientId("root".to_owned()),
    }
}

async fn revoke(by: &TestClient, target: Target) {
    let request = v1::RevokeTokenRequest { target: Some(target), ..Default::default() };
    accepted(by.tokens().revoke_token(by.request(request)).await);
}

/// Uses the refresh token, then the next one, and so on until that is refused. Answers the last refresh token and each
/// access token.
async fn refresh_until_refused(by: TestClient, mut token: String) -> (String, Vec<String>) {
    let mut access_tokens = Vec::new();
    loop {
        // Each twice: the second is a repetition, and must not say yes any longer than a rotation does.
        for _ in 0..2 {
            match refresh(&by, using(&token)).await {
                Ok(answer) => {
                    access_tokens.push(answer.access_token);
                    if access_tokens.len() % 2 == 0 {
                        token = answer.refresh_token;
                    }
                }
                Err(status) => {
                    assert_eq!(reason(&status), "REFRESH_TOKEN_INVALID");
                    return (token, access_tokens);
                }
            }
        }
    }
}

async fn after_a_revocation_nothing_of_the_session_is_good(store: Arc<Store>) {
    let replicas = replicas(store, 5).await;
    for round in 0..rounds(90) {
        // What was revoked a round before was issued in an earlier second.
        replicas[0].clock.advance(2);
        let begun = accepted(replicas[0].root.issue(session_for_alice()).await);
        let session_id = sid(&begun.access_token);
        let [here, there] = &replicas;
        let refreshing = tokio::spawn(refresh_until_refused(there.root.clone(), begun.refresh_token.clone()));
        for _ in 0..round % 5 {
            tokio::task::yield_now().await;
        }
        revoke(&here.root, target(round, &session_id)).await;
        // From here on, at either replica: a response now is to an earlier request.
        let (last, mut access_tokens) = refreshing.await.unwrap();
        access_tokens.push(begun.access_token);
        for token in [&last, &begun.refresh_token] {
            assert_invalid(&here.root, token).await;
            assert_invalid(&there.root, token).await;
        }
        there.rounds.make().await.unwrap();
        for token in &access_tokens {
            for replica in &replicas {
                let status = refused(replica.root.check(token).await);
                assert_eq!(reason(&status), "TOKEN_REVOKED");
            }
        }
    }
}

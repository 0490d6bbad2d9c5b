//! Refresh tokens: each is valid once, and a lost response ends no session.

use std::time::Duration;

use tokend::{model::SessionId, proto::v1};
use tonic::Code;

use crate::{
    counting_store::CountingStore,
    harness::{
        START, TestClient, TestServer, accepted, assert_refused, fields, for_alice, refused, settings,
    },
    sessions::{
        assert_invalid, assert_reused, begin, claims, living, refresh, refreshed, session_for_alice, sid,
        using, using_in,
    },
};

const DAY: i64 = 86_400;

/// A client that may have any token.
fn for_tokens(client_id: &str) -> v1::Client {
    let permissions = v1::Permissions {
        methods: vec!["TokenService/*".to_owned()],
        audiences: vec!["*".to_owned()],
        scopes: vec!["*".to_owned()],
        subjects: vec!["*".to_owned()],
        max_ttl: Some(prost_types::Duration { seconds: 3_600, nanos: 0 }),
        ..Default::default()
    };
    v1::Client { client_id: client_id.to_owned(), permissions: Some(permissions), ..Default::default() }
}

#[tokio::test]
async fn a_refresh_token_is_used_and_another_takes_its_place() {
    let server = TestServer::start().await;
    let first = accepted(server.root.issue(session_for_alice()).await);
    assert_eq!(first.refresh_token_expire_time.unwrap().seconds, START + 7 * DAY);
    let session_id = sid(&first.access_token);
    SessionId::parse(session_id.as_str()).unwrap();

    server.clock.advance(600);
    let second = accepted(refresh(&server.root, using(&first.refresh_token)).await);
    assert_eq!((second.token_type.as_str(), second.expires_in.unwrap().seconds), ("Bearer", 15 * 60));
    assert_eq!(second.issue_time.unwrap().seconds, START + 600);
    assert_eq!(second.refresh_token_expire_time.unwrap().seconds, START + 600 + 7 * DAY);
    assert_eq!(second.scopes, ["read", "write"]);
    assert_ne!(second.refresh_token, first.refresh_token);
    let (before, now) = (claims(&first.access_token), claims(&second.access_token));
    for same in ["iss", "sub", "aud", "client_id", "scope", "sid"] {
        assert_eq!(before[same], now[same], "{same}");
    }
    assert_ne!(before["jti"], now["jti"]);
    accepted(server.root.check(&second.access_token).await);

    // And so on: each in its turn.
    let third = refreshed(&server.root, &second.refresh_token).await;
    refreshed(&server.root, &third).await;
}

#[tokio::test]
async fn a_token_holds_the_claims_that_the_session_was_begun_with() {
    let server = TestServer::start().await;
    let claims_json = r#"{"tenant":"acme","n":12345678901234567890}"#.to_owned();
    let request = v1::IssueTokenRequest { claims_json, ..session_for_alice() };
    let token = accepted(server.root.issue(request).await).refresh_token;
    let answer = accepted(refresh(&server.root, using(&token)).await);
    let verified = accepted(server.root.check(&answer.access_token).await);
    assert!(verified.claims_json.ends_with(r#""tenant":"acme","n":12345678901234567890}"#));
}

#[tokio::test]
async fn a_lost_answer_is_given_again_within_the_window() {
    let server = TestServer::start().await;
    let used = begin(&server.root).await;
    let lost = accepted(refresh(&server.root, using(&used)).await);
    for later in [0, 5] {
        server.clock.advance(later);
        let again = accepted(refresh(&server.root, using(&used)).await);
        assert_eq!(again.refresh_token, lost.refresh_token, "the same successor");
        assert_eq!(again.refresh_token_expire_time, lost.refresh_token_expire_time);
        assert_ne!(again.jwt_id, lost.jwt_id, "a fresh access token");
        assert_eq!(again.issue_time.unwrap().seconds, server.clock.seconds());
        accepted(server.root.check(&again.access_token).await);
    }
    // After the successor was used, the old token is reuse.
    let successor = refreshed(&server.root, &lost.refresh_token).await;
    assert_reused(&server.root, &used).await;
    assert_invalid(&server.root, &successor).await;
}

#[tokio::test]
async fn the_same_request_is_answered_again_for_ten_minutes() {
    let server = TestServer::start().await;
    let used = begin(&server.root).await;
    let lost = accepted(refresh(&server.root, using_in(&used, 1)).await);
    for later in [6, 594] {
        server.clock.advance(later);
        let again = accepted(refresh(&server.root, using_in(&used, 1)).await);
        assert_eq!(again.refresh_token, lost.refresh_token);
    }
    refreshed(&server.root, &lost.refresh_token).await;

    let used = begin(&server.root).await;
    accepted(refresh(&server.root, using_in(&used, 1)).await);
    server.clock.advance(601);
    let late = refresh(&server.root, using_in(&used, 1)).await;
    assert_refused(late, Code::Unauthenticated, "REFRESH_TOKEN_REUSED");
}

#[tokio::test]
async fn another_request_of_the_same_name_is_refused_and_ends_nothing() {
    let server = TestServer::start().await;
    let used = begin(&server.root).await;
    let good = accepted(refresh(&server.root, using_in(&used, 1)).await).refresh_token;
    let read = vec!["read".to_owned()];
    for other in [
        v1::RefreshTokenRequest { scopes: read.clone(), ..using_in(&used, 1) },
        v1::RefreshTokenRequest { audiences: vec!["orders".to_owned()], ..using_in(&used, 1) },
        using_in(&good, 1),
    ] {
        let answer = refresh(&server.root, other).await;
        assert_refused(answer, Code::FailedPrecondition, "REQUEST_ID_REUSED");
    }
    accepted(refresh(&server.root, using_in(&good, 2)).await);
}

#[tokio::test]
async fn a_token_used_twice_ends_its_session() {
    let server = TestServer::start().await;
    let other = begin(&server.root).await;
    let used = begin(&server.root).await;
    let good = refreshed(&server.root, &used).await;
    server.clock.advance(6);
    assert_reused(&server.root, &used).await;
    // The current token ends too, and the access tokens are revoked.
    for token in [&good, &used] {
        assert_invalid(&server.root, token).await;
    }
    assert_eq!(living(&server.root).await.len(), 1);
    refreshed(&server.root, &other).await;
}

#[tokio::test]
async fn a_session_ends_when_it_lies_idle() {
    let server = TestServer::start().await;
    let first = begin(&server.root).await;
    server.clock.advance(7 * DAY - 1);
    let second = refreshed(&server.root, &first).await;
    server.clock.advance(7 * DAY);
    assert_invalid(&server.root, &second).await;
    assert!(living(&server.root).await.is_empty());
}

#[tokio::test]
async fn a_session_ends_in_any_case() {
    let server = TestServer::with(|settings| settings.sessions.max_ttl = Duration::from_secs(3_600)).await;
    let mut token = begin(&server.root).await;
    for _ in 0..5 {
        server.clock.advance(600);
        token = refreshed(&server.root, &token).await;
    }
    server.clock.advance(599);
    let last = accepted(refresh(&server.root, using(&token)).await);
    let end = START + 3_600;
    let ends = |time: Option<prost_types::Timestamp>| time.unwrap().seconds;
    assert_eq!(ends(last.expire_time), end, "no access token outlives its session");
    assert_eq!(ends(last.refresh_token_expire_time), end);
    server.clock.advance(1);
    assert_invalid(&server.root, &last.refresh_token).await;
}

#[tokio::test]
async fn without_the_store_no_session_begins_and_none_is_lost() {
    let (server, store) = CountingStore::serve(settings()).await;
    let used = begin(&server.root).await;
    let good = refreshed(&server.root, &used).await;
    let calls = store.calls();
    accepted(server.root.issue(for_alice()).await);
    assert_eq!(store.calls(), calls, "a token without a session asks no store");
    server.clock.advance(60);
    store.set_down(true);
    let begun = server.root.issue(session_for_alice()).await;
    assert_refused(begun, Code::Unavailable, "STORE_UNAVAILABLE");
    for token in [&good, &used] {
        let answer = refresh(&server.root, using(token)).await;
        assert_refused(answer, Code::Unavailable, "STORE_UNAVAILABLE");
    }
    store.set_down(false);
    refreshed(&server.root, &good).await;
}

#[tokio::test]
async fn a_session_is_bound_to_the_client_that_began_it() {
    let server = TestServer::start().await;
    let thief = server.client(for_tokens("thief")).await;
    let used = begin(&server.root).await;
    let good = refreshed(&server.root, &used).await;
    server.clock.advance(60);
    // Neither the good one nor a used one does anything in other hands.
    for token in [&good, &used] {
        assert_invalid(&thief, token).await;
    }
    refreshed(&server.root, &good).await;
    let anonymous = TestClient::new(server.grpc, None).await;
    let answer = refresh(&anonymous, using(&good)).await;
    assert_refused(answer, Code::Unauthenticated, "CREDENTIALS_MISSING");
}

#[tokio::test]
async fn a_client_made_anew_has_nothing_of_the_one_that_was_deleted() {
    let server = TestServer::start().await;
    let web = for_tokens("web");
    let token = begin(&server.client(web.clone()).await).await;
    let delete = v1::DeleteClientRequest { client_id: "web".to_owned(), ..Default::default() };
    accepted(server.root.clients().delete_client(server.root.request(delete)).await);
    assert!(living(&server.root).await.is_empty());
    assert_invalid(&server.client(web).await, &token).await;
}

#[tokio::test]
async fn what_is_malformed_is_told_field_by_field() {
    let server = TestServer::start().await;
    let not_before_time = Some(prost_types::Timestamp { seconds: START + 60, nanos: 0 });
    let later = v1::IssueTokenRequest { not_before_time, ..session_for_alice() };
    assert_eq!(fields(&refused(server.root.issue(later).await)), ["not_before_time"]);
    let wrong = v1::RefreshTokenRequest {
        refresh_token: String::new(),
        audiences: vec![String::new()],
        scopes: vec!["a b".to_owned()],
        request_id: "one".to_owned(),
    };
    let status = refused(refresh(&server.root, wrong).await);
    assert_eq!(fields(&status), ["refresh_token", "audiences[0]", "scopes[0]", "request_id"]);
    let long = using(&"x".repeat(4_097));
    assert_eq!(fields(&refused(refresh(&server.root, long).await)), ["refresh_token"]);
}

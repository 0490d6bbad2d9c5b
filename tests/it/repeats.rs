//! TokenService: a request that comes again under its `request_id` is answered as the first time, by nothing done again.

use serde_json::json;
use tokend::{
    audit::AuditMode,
    model::{RevocationTarget, SessionFilter, UnixTime},
    proto::v1::{self, revoke_token_request::Target},
};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    audit::{events, to_file},
    counting_store::CountingStore,
    harness::{START, TestClient, TestServer, accepted, assert_refused, for_alice, settings},
    revoke_calls::{ask, revocation_of, revoker, stored, subject},
};

const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

fn named() -> v1::IssueTokenRequest {
    v1::IssueTokenRequest { request_id: ID.to_owned(), ..for_alice() }
}

fn revocation(target: Target) -> v1::RevokeTokenRequest {
    v1::RevokeTokenRequest { request_id: ID.to_owned(), ..revocation_of(target) }
}

/// How many tokens the server says that it issued.
async fn issued(server: &TestServer) -> u64 {
    let (_, _, metrics) = server.get("/metrics").await;
    let line =
        metrics.lines().find(|line| line.starts_with("tokend_tokens_issued_total{algorithm=\"ES256\"}"));
    line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_at_once_one_is_issued_and_all_are_answered() {
    let server = TestServer::start().await;
    let mut racers = JoinSet::new();
    for _ in 0..100 {
        let root = server.root.clone();
        racers.spawn(async move { root.issue(named()).await });
    }
    let answers: Vec<_> = racers.join_all().await.into_iter().map(accepted).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(issued(&server).await, 1);
}

#[tokio::test]
async fn a_repeated_request_is_answered_for_ten_minutes() {
    let server = TestServer::start().await;
    let first = accepted(server.root.issue(named()).await);
    server.clock.advance(599);
    // A UUID is the same in capital letters, and the request is another one.
    let capital = v1::IssueTokenRequest { request_id: ID.to_uppercase(), ..for_alice() };
    assert_refused(server.root.issue(capital).await, Code::FailedPrecondition, "REQUEST_ID_REUSED");
    assert!(accepted(server.root.issue(named()).await) == first);
    assert_eq!(issued(&server).await, 1);
    server.clock.advance(1);
    let late = accepted(server.root.issue(named()).await);
    assert_ne!(late.jwt_id, first.jwt_id);
    assert_ne!(accepted(server.root.issue(for_alice()).await).jwt_id, late.jwt_id);
    assert_eq!(issued(&server).await, 3);
}

#[tokio::test]
async fn a_name_is_of_one_request_of_one_caller() {
    let server = TestServer::start().await;
    let first = accepted(server.root.issue(named()).await);
    let other = v1::IssueTokenRequest { subject: "bob".to_owned(), ..named() };
    assert_refused(server.root.issue(other).await, Code::FailedPrecondition, "REQUEST_ID_REUSED");
    let revoked = ask(&server.root, revocation(Target::JwtId("some".to_owned()))).await;
    assert_refused(revoked, Code::FailedPrecondition, "REQUEST_ID_REUSED");
    assert_eq!(stored(&server.store).await, []);
    let web = revoker(&server, "web", &["*"], &[], &[]).await;
    assert_ne!(accepted(web.issue(named()).await).jwt_id, first.jwt_id);
}

#[tokio::test]
async fn a_session_is_begun_once() {
    let server = TestServer::start().await;
    let request = v1::IssueTokenRequest { include_refresh_token: true, ..named() };
    let first = accepted(server.root.issue(request.clone()).await);
    let again = accepted(server.root.issue(request).await);
    assert!(!first.refresh_token.is_empty() && first == again);
    let (all, now) = (SessionFilter::default(), UnixTime::from_seconds(START));
    assert_eq!(server.store.sessions_page(&all, now, None, 10).await.unwrap().len(), 1);
}

/// Changes a client, whatever it may do and whether it may do anything.
async fn change(server: &TestServer, client: v1::Client, path: &str) {
    let request = v1::UpdateClientRequest {
        client: Some(client),
        update_mask: Some(prost_types::FieldMask { paths: vec![path.to_owned()] }),
        ..Default::default()
    };
    accepted(server.root.clients().update_client(server.root.request(request)).await);
}

#[tokio::test]
async fn who_lost_its_permission_is_not_answered_from_memory() {
    let server = TestServer::start().await;
    let web = revoker(&server, "web", &["*"], &[], &[]).await;
    accepted(web.issue(named()).await);
    let of = |client| v1::Client { client_id: "web".to_owned(), ..client };
    let permissions = v1::Permissions {
        methods: vec!["*".to_owned()],
        audiences: vec!["orders".to_owned()],
        scopes: vec!["read".to_owned()],
        ..Default::default()
    };
    change(&server, of(v1::Client { permissions: Some(permissions), ..Default::default() }), "permissions")
        .await;
    assert_refused(web.issue(named()).await, Code::PermissionDenied, "SUBJECT_NOT_ALLOWED");
    change(&server, of(v1::Client { disabled: true, ..Default::default() }), "disabled").await;
    assert_refused(web.issue(named()).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
}

#[tokio::test]
async fn a_revocation_is_made_once() {
    let server = TestServer::start().await;
    let request = || revocation(subject("alice", None));
    assert_eq!(accepted(ask(&server.root, request()).await), START);
    server.clock.advance(100);
    // What was issued since then is not meant.
    assert_eq!(accepted(ask(&server.root, request()).await), START);
    let held = stored(&server.store).await;
    let before = UnixTime::from_seconds(START + 1);
    assert_eq!(held[0].target, RevocationTarget::Subject("alice".to_owned(), before));
}

#[tokio::test]
async fn a_failure_leaves_its_name_to_any_other_request() {
    let (server, store) = CountingStore::serve(settings()).await;
    store.set_down(true);
    let down = ask(&server.root, revocation(Target::JwtId("some".to_owned()))).await;
    assert_refused(down, Code::Unavailable, "STORE_UNAVAILABLE");
    store.set_down(false);
    accepted(ask(&server.root, revocation(Target::JwtId("other".to_owned()))).await);
    let reused = ask(&server.root, revocation(Target::JwtId("some".to_owned()))).await;
    assert_refused(reused, Code::FailedPrecondition, "REQUEST_ID_REUSED");
}

async fn exchange(by: &TestClient, request: v1::ExchangeTokenRequest) -> v1::ExchangeTokenResponse {
    accepted(by.tokens().exchange_token(by.request(request)).await).into_inner()
}

#[tokio::test]
async fn a_token_is_exchanged_once_and_only_while_it_is_good() {
    let server = TestServer::start().await;
    let access_token = "urn:ietf:params:oauth:token-type:access_token".to_owned();
    let request = v1::ExchangeTokenRequest {
        subject_token: server.root.token().await,
        subject_token_type: access_token,
        request_id: ID.to_owned(),
        ..Default::default()
    };
    let first = exchange(&server.root, request.clone()).await;
    assert!(exchange(&server.root, request.clone()).await == first);
    assert_eq!(issued(&server).await, 2);
    server.clock.advance(15 * 60 - 301);
    assert!(exchange(&server.root, request.clone()).await == first);
    server.clock.advance(301);
    let late = server.root.tokens().exchange_token(server.root.request(request)).await;
    assert_refused(late, Code::InvalidArgument, "TOKEN_EXPIRED");
}

#[tokio::test]
async fn a_repeated_answer_leaves_an_event_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let own = to_file(folder.path(), AuditMode::Required, 1000);
    let server = TestServer::with(|settings| *settings = own).await;
    let answer = accepted(server.root.issue(named()).await);
    accepted(server.root.issue(named()).await);
    let all = events(folder.path());
    let [first, again] = &all[all.len() - 2..] else { panic!("{all:#?}") };
    for event in [first, again] {
        assert_eq!((&event["jti"], &event["kid"]), (&json!(answer.jwt_id), &json!(answer.key_id)), "{event}");
        assert_eq!((&event["subject"], &event["scopes"]), (&json!("alice"), &json!(["read"])), "{event}");
        assert!(event["policy"].as_str().unwrap().starts_with("TokenService/IssueToken by "), "{event}");
    }
    assert_eq!((&first["repeated"], &again["repeated"]), (&json!(null), &json!(true)));

    let client = v1::Client { client_id: String::new(), ..Default::default() };
    let create = || {
        server.root.request(v1::CreateClientRequest {
            client: Some(client.clone()),
            request_id: ID.replace('1', "2"),
        })
    };
    let made = accepted(server.root.clients().create_client(create()).await).into_inner().client.unwrap();
    accepted(server.root.clients().create_client(create()).await);
    let all = events(folder.path());
    let [first, again] = &all[all.len() - 2..] else { panic!("{all:#?}") };
    let target = json!([format!("client/{}", made.client_id)]);
    assert_eq!((&first["targets"], &again["targets"]), (&target, &target));
    assert_eq!((&first["repeated"], &again["repeated"]), (&json!(null), &json!(true)));
}

//! Stories of people who log in.

use serde_json::json;
use tokend::{model::Pattern, proto::v1};
use tonic::{Code, Status};

use crate::{
    counting_store::CountingStore,
    harness::{TestClient, TestServer, accepted, assert_refused, fields, refused, seconds, settings},
    users::{create, set_password, update, user},
};

pub const PASSWORD: &str = "correct horse battery";

/// Alice's wish for a token for `orders` that allows `read`.
pub fn alice(password: &str) -> v1::LoginRequest {
    v1::LoginRequest {
        username: "alice".to_owned(),
        password: password.to_owned(),
        audiences: vec!["orders".to_owned()],
        scopes: vec!["read".to_owned()],
        ..Default::default()
    }
}

pub async fn log_in(by: &TestClient, request: v1::LoginRequest) -> Result<v1::LoginResponse, Status> {
    Ok(by.tokens().login(by.request(request)).await?.into_inner())
}

/// Alice, who may read and write.
pub async fn with_alice(server: &TestServer) -> v1::User {
    let alice = v1::User {
        user_id: "u-alice".to_owned(),
        claims_json: r#"{"name":"Alice","permissions":["a","b"],"n":12345678901234567890}"#.to_owned(),
        scopes: vec!["read".to_owned(), "write".to_owned()],
        ..user("alice")
    };
    accepted(create(&server.root, alice, PASSWORD).await)
}

#[tokio::test]
async fn alice_logs_in_and_her_token_is_good() {
    let server = TestServer::start().await;
    with_alice(&server).await;
    let answer =
        accepted(log_in(&server.root, v1::LoginRequest { ttl: seconds(60), ..alice(PASSWORD) }).await);
    assert_eq!(
        (answer.token_type.as_str(), answer.scopes.as_slice()),
        ("Bearer", ["read".to_owned()].as_slice())
    );
    assert_eq!(answer.expires_in.unwrap().seconds, 60);
    assert!(answer.refresh_token.is_empty());
    let verified = accepted(server.root.check(&answer.access_token).await);
    let claims: serde_json::Value = serde_json::from_str(&verified.claims_json).unwrap();
    assert_eq!(claims["sub"], "u-alice");
    assert_eq!(claims["client_id"], "root");
    assert_eq!(claims["name"], "Alice");
    assert_eq!(claims["permissions"], json!(["a", "b"]));
    assert!(verified.claims_json.contains("12345678901234567890"), "no digit is lost");
    // A name is found however it was typed, and so is a password whose accents were composed in another way.
    let shouted = v1::LoginRequest { username: "ＡLICE".to_owned(), ..alice(PASSWORD) };
    accepted(log_in(&server.root, shouted).await);
    accepted(set_password(&server.root, "u-alice", "cafe\u{301} au lait").await);
    accepted(log_in(&server.root, alice("caf\u{e9} au lait")).await);
    assert_refused(log_in(&server.root, alice(PASSWORD)).await, Code::Unauthenticated, "LOGIN_FAILED");
}

#[tokio::test]
async fn unknown_wrong_and_disabled_are_one_answer() {
    let server = TestServer::start().await;
    let stored = with_alice(&server).await;
    let wrong = refused(log_in(&server.root, alice("correct horse batterY")).await);
    let unknown = v1::LoginRequest { username: "mallory".to_owned(), ..alice(PASSWORD) };
    let unknown = refused(log_in(&server.root, unknown).await);
    accepted(update(&server.root, v1::User { disabled: true, ..stored.clone() }, &["disabled"]).await);
    let disabled = refused(log_in(&server.root, alice(PASSWORD)).await);
    for status in [&wrong, &unknown, &disabled] {
        assert_refused(Err::<(), _>(status.clone()), Code::Unauthenticated, "LOGIN_FAILED");
        assert_eq!((status.message(), status.details()), (wrong.message(), wrong.details()));
    }
    // Enabled again, she is in: nothing but the etag stood in the way of this update.
    let enabled = v1::User { etag: String::new(), disabled: false, ..stored };
    accepted(update(&server.root, enabled, &["disabled"]).await);
    accepted(log_in(&server.root, alice(PASSWORD)).await);
    let metrics = server.get("/metrics").await.2;
    for line in ["tokend_logins_total{result=\"OK\"} 1", "tokend_logins_total{result=\"LOGIN_FAILED\"} 3"] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn a_scope_must_be_both_the_clients_and_the_users() {
    let server = TestServer::start().await;
    with_alice(&server).await;
    let portal =
        portal(&server, |permissions| permissions.scopes = vec!["read".to_owned(), "admin".to_owned()]);
    let portal = portal.await;
    accepted(log_in(&portal, alice(PASSWORD)).await);
    let both = |scope: &str| v1::LoginRequest {
        scopes: vec!["read".to_owned(), scope.to_owned()],
        ..alice(PASSWORD)
    };
    let status =
        assert_refused(log_in(&portal, both("admin")).await, Code::PermissionDenied, "SCOPE_NOT_ALLOWED");
    assert_eq!(status.message(), "the user does not have scope \"admin\"");
    let status =
        assert_refused(log_in(&portal, both("write")).await, Code::PermissionDenied, "SCOPE_NOT_ALLOWED");
    assert!(status.message().contains(" may not have tokens with scope \"write\"; "), "{status}");
    // The user's scopes are not revealed without the password.
    let guess = v1::LoginRequest { password: "guess guess".to_owned(), ..both("admin") };
    assert_refused(log_in(&portal, guess).await, Code::Unauthenticated, "LOGIN_FAILED");
}

/// A client that may log in users whose names begin with `al`, for `orders`, and have the claim `name` in tokens.
async fn portal(server: &TestServer, change: impl FnOnce(&mut v1::Permissions)) -> TestClient {
    let mut permissions = v1::Permissions {
        methods: vec!["TokenService/Login".to_owned()],
        audiences: vec!["orders".to_owned()],
        scopes: vec!["read".to_owned()],
        claims: vec!["name".to_owned()],
        max_ttl: seconds(600),
        ..Default::default()
    };
    change(&mut permissions);
    let client =
        v1::Client { client_id: "portal".to_owned(), permissions: Some(permissions), ..Default::default() };
    let portal = server.client(client).await;
    // Through the store, as the message for clients need not hold this permission yet.
    let client_id = tokend::model::ClientId::parse("portal").unwrap();
    let mut record = server.store.client(&client_id).await.unwrap();
    record.client.settings.permissions.login_usernames = vec![Pattern::parse("al*").unwrap()];
    record.client.mac = None;
    server.store.put_client(&record).await.unwrap();
    server.rounds.make().await.unwrap();
    portal
}

#[tokio::test]
async fn a_token_holds_of_the_users_claims_what_the_client_may_have() {
    let server = TestServer::start().await;
    with_alice(&server).await;
    let portal = portal(&server, |_| {}).await;
    let token = accepted(log_in(&portal, alice(PASSWORD)).await).access_token;
    let verified = accepted(server.root.check(&token).await);
    let claims: serde_json::Value = serde_json::from_str(&verified.claims_json).unwrap();
    assert_eq!(claims["name"], "Alice");
    assert!(claims.get("permissions").is_none() && claims.get("n").is_none());
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("u-alice"), &json!("portal")));
}

#[tokio::test]
async fn policy_comes_before_the_password_and_before_validity() {
    let server = TestServer::start().await;
    with_alice(&server).await;
    let portal = portal(&server, |_| {}).await;
    let cases: [(v1::LoginRequest, &str); 5] = [
        (v1::LoginRequest { username: "bob".to_owned(), ..alice(PASSWORD) }, "SUBJECT_NOT_ALLOWED"),
        (v1::LoginRequest { audiences: vec!["mail".to_owned()], ..alice("") }, "AUDIENCE_NOT_ALLOWED"),
        (v1::LoginRequest { scopes: vec!["admin".to_owned()], ..alice("wrong") }, "SCOPE_NOT_ALLOWED"),
        (v1::LoginRequest { ttl: seconds(601), ..alice(PASSWORD) }, "TTL_NOT_ALLOWED"),
        (v1::LoginRequest { username: "x".repeat(300), ..alice(PASSWORD) }, "SUBJECT_NOT_ALLOWED"),
    ];
    for (request, reason) in cases {
        assert_refused(log_in(&portal, request).await, Code::PermissionDenied, reason);
    }
    let status = refused(log_in(&portal, v1::LoginRequest { audiences: vec![], ..alice(PASSWORD) }).await);
    assert_eq!(fields(&status), ["audiences"]);
    let wrong = v1::LoginRequest { username: "x".repeat(300), password: String::new(), ..alice("") };
    let mut named = fields(&refused(log_in(&server.root, wrong).await));
    named.sort();
    assert_eq!(named, ["password", "username"]);

    let issuer = v1::Client {
        permissions: Some(v1::Permissions {
            methods: vec!["TokenService/IssueToken".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let issuer = server.client(issuer).await;
    assert_refused(log_in(&issuer, alice(PASSWORD)).await, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
    let nobody = TestClient::new(server.grpc, None).await;
    assert_refused(log_in(&nobody, alice(PASSWORD)).await, Code::Unauthenticated, "CREDENTIALS_MISSING");
}

#[tokio::test]
async fn without_the_store_a_login_is_unavailable_and_not_refused() {
    let (server, store) = CountingStore::serve(settings()).await;
    with_alice(&server).await;
    store.set_down(true);
    for password in [PASSWORD, "another password"] {
        assert_refused(log_in(&server.root, alice(password)).await, Code::Unavailable, "STORE_UNAVAILABLE");
    }
    store.set_down(false);
    accepted(log_in(&server.root, alice(PASSWORD)).await);
}

#[tokio::test]
async fn no_key_means_no_token_and_no_failed_login() {
    let server = TestServer::start().await;
    with_alice(&server).await;
    server.clock.advance(40 * 365 * 24 * 60 * 60);
    assert_refused(log_in(&server.root, alice(PASSWORD)).await, Code::FailedPrecondition, "NO_ACTIVE_KEY");
}

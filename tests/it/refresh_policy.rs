//! What a refresh is allowed: never more than the session was begun with, and never more than client and user may have now.

use tokend::{
    model::{ClientId, Pattern, Permissions, Ttl},
    proto::v1,
};
use tonic::Code;

use crate::{
    harness::{TestClient, TestServer, accepted, assert_refused, refused, seconds},
    login::{PASSWORD, alice, log_in, with_alice},
    sessions::{assert_invalid, claims, refresh, refreshed, session_for_alice, using},
    users::update,
};

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::parse(*text).unwrap()).collect()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A client that may begin sessions of both kinds, for `orders` and `billing`, with `read` and `write`.
async fn web(server: &TestServer) -> TestClient {
    let permissions = v1::Permissions {
        methods: texts(&["TokenService/IssueToken", "TokenService/Login", "TokenService/RefreshToken"]),
        audiences: texts(&["orders", "billing"]),
        scopes: texts(&["read", "write"]),
        subjects: texts(&["alice"]),
        claims: texts(&["tenant", "name"]),
        login_usernames: texts(&["*"]),
        max_ttl: seconds(3_600),
        ..Default::default()
    };
    let client =
        v1::Client { client_id: "web".to_owned(), permissions: Some(permissions), ..Default::default() };
    server.client(client).await
}

/// Changes what the client `web` may do.
async fn permit(server: &TestServer, change: impl FnOnce(&mut Permissions)) {
    let mut record = server.store.client(&ClientId::parse("web").unwrap()).await.unwrap();
    change(&mut record.client.settings.permissions);
    record.client.mac = None;
    server.store.put_client(&record).await.unwrap();
    server.rounds.make().await.unwrap();
}

/// A session of `web` about `alice`, with a claim.
async fn begun(web: &TestClient) -> String {
    let claims_json = r#"{"tenant":"acme"}"#.to_owned();
    let request = v1::IssueTokenRequest { claims_json, ttl: seconds(1_800), ..session_for_alice() };
    accepted(web.issue(request).await).refresh_token
}

#[tokio::test]
async fn a_session_takes_permission_to_refresh() {
    let server = TestServer::start().await;
    with_alice(&server).await;
    let web = web(&server).await;
    permit(&server, |permissions| permissions.methods.truncate(2)).await;
    let login = v1::LoginRequest { include_refresh_token: true, ..alice(PASSWORD) };
    let denied = [refused(web.issue(session_for_alice()).await), refused(log_in(&web, login).await)];
    for status in denied {
        let message = status.message().to_owned();
        assert_refused(Err::<(), _>(status), Code::PermissionDenied, "METHOD_NOT_ALLOWED");
        assert!(
            message.starts_with("client \"web\" may not call TokenService/RefreshToken; add it"),
            "{message}"
        );
    }
    // Without a refresh token nothing is missing.
    let plain = v1::IssueTokenRequest { include_refresh_token: false, ..session_for_alice() };
    assert!(accepted(web.issue(plain).await).refresh_token.is_empty());
    assert!(accepted(log_in(&web, alice(PASSWORD)).await).refresh_token.is_empty());
    let answer = refresh(&web, using("tkr_x")).await;
    assert_refused(answer, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn a_token_may_do_less_and_the_session_keeps_what_it_has() {
    let server = TestServer::start().await;
    let web = web(&server).await;
    let first = begun(&web).await;
    let narrow =
        v1::RefreshTokenRequest { audiences: texts(&["billing"]), scopes: texts(&["read"]), ..using(&first) };
    let answer = accepted(refresh(&web, narrow).await);
    assert_eq!(answer.scopes, ["read"]);
    let said = claims(&answer.access_token);
    assert_eq!((&said["aud"], &said["scope"]), (&"billing".into(), &"read".into()));
    // RFC 6749 section 6: the refresh token that takes its place has the scope of the one before.
    let answer = accepted(refresh(&web, using(&answer.refresh_token)).await);
    let said = claims(&answer.access_token);
    assert_eq!(said["scope"], "read write");
    assert_eq!(said["aud"], serde_json::json!(["orders", "billing"]));
    assert_eq!(answer.expires_in.unwrap().seconds, 1_800);
}

#[tokio::test]
async fn a_session_never_gets_more_than_it_was_begun_with() {
    let server = TestServer::start().await;
    let web = web(&server).await;
    permit(&server, |permissions| {
        permissions.audiences = vec![Pattern::any()];
        permissions.scopes = vec![Pattern::any()];
    })
    .await;
    let token = begun(&web).await;
    let more = [
        (texts(&["orders", "mail"]), vec![], "AUDIENCE_NOT_ALLOWED", "is not for audience \"mail\""),
        (vec![], texts(&["admin"]), "SCOPE_NOT_ALLOWED", "does not have scope \"admin\""),
    ];
    for (audiences, scopes, reason, said) in more {
        let request = v1::RefreshTokenRequest { audiences, scopes, ..using(&token) };
        let status = assert_refused(refresh(&web, request).await, Code::PermissionDenied, reason);
        assert_eq!(status.message(), format!("the session {said}"));
    }
    refreshed(&web, &token).await;
}

#[tokio::test]
async fn the_clients_policy_is_that_of_now() {
    let server = TestServer::start().await;
    let web = web(&server).await;
    let mut token = begun(&web).await;
    // What is not asked for by name becomes less.
    permit(&server, |permissions| {
        permissions.audiences = patterns(&["billing"]);
        permissions.scopes = patterns(&["read"]);
        permissions.max_ttl = Ttl::from_seconds(600).unwrap();
    })
    .await;
    let answer = accepted(refresh(&web, using(&token)).await);
    assert_eq!(claims(&answer.access_token)["aud"], "billing");
    assert_eq!((answer.scopes, answer.expires_in.unwrap().seconds), (texts(&["read"]), 600));
    token = answer.refresh_token;
    // What is asked for by name is refused, and so is what cannot become less. None of it uses the token up.
    let named = v1::RefreshTokenRequest { scopes: texts(&["write"]), ..using(&token) };
    assert_refused(refresh(&web, named).await, Code::PermissionDenied, "SCOPE_NOT_ALLOWED");
    let named = v1::RefreshTokenRequest { audiences: texts(&["orders"]), ..using(&token) };
    assert_refused(refresh(&web, named).await, Code::PermissionDenied, "AUDIENCE_NOT_ALLOWED");
    type Change = fn(&mut Permissions);
    let changes: [(Change, &str); 4] = [
        (|permissions| permissions.claims.clear(), "CLAIM_NOT_ALLOWED"),
        (|permissions| permissions.subjects.clear(), "SUBJECT_NOT_ALLOWED"),
        (|permissions| permissions.audiences = patterns(&["mail"]), "AUDIENCE_NOT_ALLOWED"),
        (|permissions| permissions.methods.clear(), "METHOD_NOT_ALLOWED"),
    ];
    for (change, reason) in changes {
        permit(&server, change).await;
        assert_refused(refresh(&web, using(&token)).await, Code::PermissionDenied, reason);
    }
    permit(&server, |permissions| {
        permissions.methods = patterns(&["TokenService/*"]);
        permissions.audiences = patterns(&["*"]);
        permissions.subjects = patterns(&["*"]);
        permissions.claims = patterns(&["*"]);
        permissions.scopes = patterns(&["*"]);
        permissions.max_ttl = Ttl::from_minutes(60);
    })
    .await;
    // Allowed again, it has all that it had.
    let answer = accepted(refresh(&web, using(&token)).await);
    assert_eq!((answer.scopes, answer.expires_in.unwrap().seconds), (texts(&["read", "write"]), 1_800));
    assert_eq!(claims(&answer.access_token)["tenant"], "acme");
}

/// Logs alice in with a session of both her scopes.
async fn logged_in(by: &TestClient) -> v1::LoginResponse {
    let request = v1::LoginRequest {
        scopes: texts(&["read", "write"]),
        include_refresh_token: true,
        ..alice(PASSWORD)
    };
    accepted(log_in(by, request).await)
}

#[tokio::test]
async fn a_user_is_who_she_is_now() {
    let server = TestServer::start().await;
    let stored = with_alice(&server).await;
    let web = web(&server).await;
    let login = logged_in(&web).await;
    assert!(login.refresh_token_expire_time.is_some());
    let said = claims(&login.access_token);
    assert_eq!((&said["sub"], &said["name"]), (&"u-alice".into(), &"Alice".into()));

    // Married, and with fewer scopes.
    let changed = v1::User {
        claims: None,
        claims_json: r#"{"name":"Alicia","permissions":[]}"#.to_owned(),
        scopes: texts(&["read"]),
        etag: String::new(),
        ..stored.clone()
    };
    accepted(update(&server.root, changed.clone(), &["claims_json", "scopes"]).await);
    let answer = accepted(refresh(&web, using(&login.refresh_token)).await);
    let said = claims(&answer.access_token);
    assert_eq!((&said["name"], &said["scope"]), (&"Alicia".into(), &"read".into()));
    assert!(said.get("permissions").is_none(), "the client may not have it");
    assert_eq!(said["sid"], claims(&login.access_token)["sid"]);
    let named = v1::RefreshTokenRequest { scopes: texts(&["write"]), ..using(&answer.refresh_token) };
    let status = assert_refused(refresh(&web, named).await, Code::PermissionDenied, "SCOPE_NOT_ALLOWED");
    assert_eq!(status.message(), "the user does not have scope \"write\"");

    // Disabled, she is out, and enabled in again: nothing was used up.
    let disabled = v1::User { disabled: true, ..changed.clone() };
    accepted(update(&server.root, disabled, &["disabled"]).await);
    assert_invalid(&web, &answer.refresh_token).await;
    accepted(update(&server.root, changed, &["disabled"]).await);
    let next = refreshed(&web, &answer.refresh_token).await;

    // A deleted user stays out, and a later user with the same id is another user.
    let request = v1::DeleteUserRequest { user_id: "u-alice".to_owned(), ..Default::default() };
    accepted(server.root.users().delete_user(server.root.request(request)).await);
    assert_invalid(&web, &next).await;
    server.clock.advance(600);
    with_alice(&server).await;
    assert_invalid(&web, &next).await;
}

#[tokio::test]
async fn a_client_of_the_same_id_that_came_later_has_none_of_its_sessions() {
    let server = TestServer::start().await;
    let token = begun(&web(&server).await).await;
    let request = v1::DeleteClientRequest { client_id: "web".to_owned(), ..Default::default() };
    accepted(server.root.clients().delete_client(server.root.request(request)).await);
    server.clock.advance(600);
    let later = web(&server).await;
    assert_invalid(&later, &token).await;
}

//! Stories of sessions whose user is given another password, is disabled, or is deleted.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use serde_json::json;
use tempfile::TempDir;
use tokend::{audit::AuditMode, proto::v1, store::Store};
use tonic::{Code, Status};

use crate::{
    audit::{events, to_file},
    counting_store::CountingStore,
    harness::{TestClient, TestServer, accepted, assert_refused, manual_clock, reason, settings},
    login::{PASSWORD, alice, log_in, with_alice},
    sessions::{assert_invalid, begin, living, refresh, refreshed, using},
    store_backends::{on_every_store, rounds},
    users::{delete, get, set_password, update},
};

on_every_store!(
    after_a_new_password_no_session_of_the_old_one_is_refreshed,
    a_login_that_a_new_password_overtakes_begins_nothing,
    logins_at_once_that_make_a_hash_anew_all_begin_a_session,
);

fn with_session(password: &str) -> v1::LoginRequest {
    v1::LoginRequest { include_refresh_token: true, ..alice(password) }
}

/// Logs Alice in, and answers the refresh token.
async fn session(by: &TestClient, password: &str) -> String {
    accepted(log_in(by, with_session(password)).await).refresh_token
}

async fn is_active(by: &TestClient, token: &str) -> bool {
    accepted(by.introspect(token, &[]).await).active
}

/// Sets another password, in a request that names itself.
async fn set(by: &TestClient, keep_sessions: bool) -> Result<v1::SetUserPasswordResponse, Status> {
    static REQUESTS: AtomicU32 = AtomicU32::new(0);
    let request = REQUESTS.fetch_add(1, Relaxed);
    let request = v1::SetUserPasswordRequest {
        user_id: "u-alice".to_owned(),
        password: "another horse battery".to_owned(),
        request_id: format!("00000000-0000-4000-8000-{request:012}"),
        keep_sessions,
        ..Default::default()
    };
    Ok(by.users().set_user_password(by.request(request)).await?.into_inner())
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_of_its_user_alone() {
    let server = TestServer::start().await;
    with_alice(&server).await;
    let (first, second) = (session(&server.root, PASSWORD).await, session(&server.root, PASSWORD).await);
    let first = refreshed(&server.root, &first).await;
    let of_a_service = begin(&server.root).await;
    let answer = accepted(set(&server.root, false).await);
    assert_eq!((answer.ended_sessions, answer.user), (2, Some(accepted(get(&server.root, "u-alice").await))));
    for ended in [&first, &second] {
        assert!(!is_active(&server.root, ended).await);
        assert_invalid(&server.root, ended).await;
    }
    assert_eq!(living(&server.root).await.len(), 1);
    refreshed(&server.root, &of_a_service).await;
    // In the same second, and for all that follows, the new password is good.
    let third = session(&server.root, "another horse battery").await;
    refreshed(&server.root, &third).await;
}

#[tokio::test]
async fn sessions_go_on_if_the_operator_says_so() {
    let server = TestServer::start().await;
    with_alice(&server).await;
    let token = session(&server.root, PASSWORD).await;
    assert_eq!(accepted(set(&server.root, true).await).ended_sessions, 0);
    assert!(is_active(&server.root, &token).await);
    refreshed(&server.root, &token).await;
}

#[tokio::test]
async fn a_password_that_is_not_set_ends_nothing() {
    let server = TestServer::start().await;
    with_alice(&server).await;
    let token = session(&server.root, PASSWORD).await;
    let weak = set_password(&server.root, "u-alice", "password1").await;
    assert_refused(weak, Code::InvalidArgument, "FIELD_INVALID");
    refreshed(&server.root, &token).await;
}

#[tokio::test]
async fn a_user_may_be_named_by_its_username() {
    let server = TestServer::start().await;
    with_alice(&server).await;
    let set = async |user_id: &str, username: &str| {
        let request = v1::SetUserPasswordRequest {
            user_id: user_id.to_owned(),
            username: username.to_owned(),
            password: "another horse battery".to_owned(),
            ..Default::default()
        };
        server.root.users().set_user_password(server.root.request(request)).await
    };
    accepted(set("", "alice").await);
    accepted(log_in(&server.root, alice("another horse battery")).await);
    assert_refused(set("", "nobody").await, Code::NotFound, "USER_NOT_FOUND");
    for (user_id, username) in [("", ""), ("u-alice", "alice")] {
        assert_refused(set(user_id, username).await, Code::InvalidArgument, "FIELD_INVALID");
    }
    let delete = v1::DeleteUserRequest { username: "alice".to_owned(), ..Default::default() };
    accepted(server.root.users().delete_user(server.root.request(delete)).await);
    assert_refused(get(&server.root, "u-alice").await, Code::NotFound, "USER_NOT_FOUND");
}

#[tokio::test]
async fn a_disabled_user_refreshes_nothing_and_a_refresh_token_does_not_look_good() {
    let server = TestServer::start().await;
    let stored = with_alice(&server).await;
    let token = session(&server.root, PASSWORD).await;
    assert!(is_active(&server.root, &token).await);
    let stored = v1::User { etag: String::new(), ..stored };
    accepted(update(&server.root, v1::User { disabled: true, ..stored.clone() }, &["disabled"]).await);
    assert!(!is_active(&server.root, &token).await);
    assert_invalid(&server.root, &token).await;
    // Nothing was used up by that.
    accepted(update(&server.root, stored, &["disabled"]).await);
    assert!(is_active(&server.root, &token).await);
    refreshed(&server.root, &token).await;
}

#[tokio::test]
async fn a_deleted_user_leaves_no_session_to_another_of_the_same_id() {
    let server = TestServer::start().await;
    with_alice(&server).await;
    let token = session(&server.root, PASSWORD).await;
    accepted(delete(&server.root, "u-alice", "").await);
    assert!(!is_active(&server.root, &token).await);
    // In the same second: by time alone the two could not be told apart.
    with_alice(&server).await;
    assert!(!is_active(&server.root, &token).await);
    assert_invalid(&server.root, &token).await;
    assert!(living(&server.root).await.is_empty());
}

#[tokio::test]
async fn the_audit_log_says_how_many_sessions_a_new_password_ended() {
    let folder = TempDir::new().unwrap();
    let settings = to_file(folder.path(), AuditMode::Required, 1000);
    let server = TestServer::with(|own| *own = settings).await;
    with_alice(&server).await;
    for keep_sessions in [true, false, false] {
        session(&server.root, PASSWORD).await;
        accepted(set(&server.root, keep_sessions).await);
        accepted(set_password(&server.root, "u-alice", PASSWORD).await);
    }
    let told: Vec<_> = events(folder.path())
        .into_iter()
        .filter(|event| event["method"] == "tokend.v1.UserService/SetUserPassword")
        .map(|event| (event["targets"].clone(), event["ended_sessions"].as_u64()))
        .collect();
    let alice = || json!(["user/u-alice"]);
    let expected = [None, Some(1), Some(1), None, Some(1), None].map(|ended| (alice(), ended));
    assert_eq!(told, expected);
}

/// Two replicas on one store.
async fn replicas(store: Arc<Store>) -> [TestServer; 2] {
    let (store, clock) = (CountingStore::quiet(&store), manual_clock());
    let here = TestServer::on(store.clone(), settings(), clock.clone()).await;
    [here, TestServer::on(store, settings(), clock).await]
}

async fn refresh_until_refused(by: TestClient, mut token: String) -> String {
    loop {
        match refresh(&by, using(&token)).await {
            Ok(answer) => token = answer.refresh_token,
            Err(status) => {
                assert_eq!(reason(&status), "REFRESH_TOKEN_INVALID");
                return token;
            }
        }
    }
}

async fn after_a_new_password_no_session_of_the_old_one_is_refreshed(store: Arc<Store>) {
    let [here, there] = replicas(store).await;
    with_alice(&here).await;
    let mut password = PASSWORD.to_owned();
    for round in 0..rounds(20) {
        let begun = session(&here.root, &password).await;
        let refreshing = tokio::spawn(refresh_until_refused(there.root.clone(), begun));
        for _ in 0..round % 5 {
            tokio::task::yield_now().await;
        }
        password = format!("horse battery {round}");
        accepted(set_password(&here.root, "u-alice", &password).await);
        // From here on, at either replica: a response now is to an earlier request.
        let last = refreshing.await.unwrap();
        assert_invalid(&here.root, &last).await;
        assert_invalid(&there.root, &last).await;
        assert!(living(&here.root).await.is_empty());
    }
}

/// Each of them finds that the hash which it proved is kept no more; but the password is the same.
async fn logins_at_once_that_make_a_hash_anew_all_begin_a_session(store: Arc<Store>) {
    let [here, there] = replicas(store).await;
    with_alice(&here).await;
    for _ in 0..rounds(5) {
        let request = v1::SetUserPasswordRequest {
            user_id: "u-alice".to_owned(),
            password_hash: "$2b$05$cyPPbYH.pJqzX2pEMssSPu7TjU6ca9P4PUtSG3pcze6iyozNLh01m".to_owned(),
            ..Default::default()
        };
        accepted(here.root.users().set_user_password(here.root.request(request)).await);
        let logins: Vec<_> = (0..8)
            .map(|number| {
                let by = if number % 2 == 0 { here.root.clone() } else { there.root.clone() };
                tokio::spawn(async move { log_in(&by, with_session(PASSWORD)).await })
            })
            .collect();
        for login in logins {
            refreshed(&here.root, &accepted(login.await.unwrap()).refresh_token).await;
        }
        assert_eq!(living(&there.root).await.len(), 8);
    }
}

async fn a_login_that_a_new_password_overtakes_begins_nothing(store: Arc<Store>) {
    let [here, there] = replicas(store).await;
    with_alice(&here).await;
    let mut password = PASSWORD.to_owned();
    for round in 0..rounds(20) {
        let old = std::mem::replace(&mut password, format!("horse battery {round}"));
        let logins: Vec<_> = (0..4)
            .map(|_| {
                let (by, old) = (there.root.clone(), old.clone());
                tokio::spawn(async move { log_in(&by, with_session(&old)).await })
            })
            .collect();
        for _ in 0..round % 8 {
            tokio::task::yield_now().await;
        }
        accepted(set_password(&here.root, "u-alice", &password).await);
        for login in logins {
            match login.await.unwrap() {
                Ok(answer) => assert_invalid(&here.root, &answer.refresh_token).await,
                Err(status) => assert_eq!(reason(&status), "LOGIN_FAILED"),
            }
        }
        assert!(living(&here.root).await.is_empty());
        // No login is rate limited: these failures were no guesses.
        here.clock.advance(600);
    }
}

//! What is logged of people, and what never is: no password, no hash of one, and no name, which may be a password.

use serde_json::{Value, json};
use tempfile::TempDir;
use tokend::{audit::AuditMode, model::ClientSecret, proto::v1};
use tonic::Code;

use crate::{
    audit::{events, to_file},
    harness::{TestClient, TestServer, accepted, assert_refused},
    login::{alice, log_in},
    process::{FREE_PORTS, Watched, words},
    users::{create, set_password, update, user},
};

const SECRET: &str = "the-secret-of-the-client-dev";
const PASSWORD: &str = "a-password-to-look-for";
const OTHER: &str = "another-one-to-look-for";
const WRONG: &str = "a-guess-to-look-for";
/// Typed where the name belongs.
const MISPLACED: &str = "a-name-to-look-for";
const HASH: &str = "$2b$05$cyPPbYH.pJqzX2pEMssSPu7TjU6ca9P4PUtSG3pcze6iyozNLh01m";

#[tokio::test]
async fn no_log_holds_a_password_a_hash_or_a_name() {
    let folder = TempDir::new().unwrap();
    let arguments = ["dev", "--secret", SECRET, "--log", "trace,sqlx=trace,h2=trace,hyper=trace"];
    let mut process = Watched::start(folder.path(), &[&arguments[..], &FREE_PORTS].concat());
    let call = process.stdout.until(|line| line.starts_with("grpcurl "));
    process.stdout.until(|line| line.starts_with("ready in "));
    let root = TestClient::new(words(&call)[6].parse().unwrap(), Some(ClientSecret::from_text(SECRET))).await;

    let who = v1::User {
        user_id: "u-alice".to_owned(),
        scopes: vec!["read".to_owned()],
        ..user("alice-to-look-for")
    };
    let stored = accepted(create(&root, who, PASSWORD).await);
    let named = |username: &str, password: &str| v1::LoginRequest {
        username: username.to_owned(),
        ..alice(password)
    };
    let token = accepted(log_in(&root, named("alice-to-look-for", PASSWORD)).await).access_token;
    for (name, password) in [("alice-to-look-for", WRONG), (MISPLACED, PASSWORD)] {
        assert_refused(log_in(&root, named(name, password)).await, Code::Unauthenticated, "LOGIN_FAILED");
    }
    accepted(set_password(&root, "u-alice", OTHER).await);
    assert_refused(set_password(&root, "u-alice", "password1").await, Code::InvalidArgument, "FIELD_INVALID");
    for hash in [HASH, "$2x$05$cyPPbYH.pJqzX2pEMssSPu7TjU6ca9P4PUtSG3pcze6iyozNLh01m"] {
        let request = v1::SetUserPasswordRequest {
            user_id: "u-alice".to_owned(),
            password_hash: hash.to_owned(),
            ..Default::default()
        };
        let _ = root.users().set_user_password(root.request(request)).await;
    }
    accepted(log_in(&root, named("alice-to-look-for", "correct horse battery")).await);
    accepted(update(&root, v1::User { disabled: true, etag: String::new(), ..stored }, &["disabled"]).await);
    let late = log_in(&root, named("alice-to-look-for", "correct horse battery")).await;
    assert_refused(late, Code::Unauthenticated, "LOGIN_FAILED");

    process.running.signal("-TERM");
    let ended = process.ended();
    assert_eq!(ended.code, Some(0));
    let log = ended.stderr.join("\n");
    for told in ["wrong password, user u-alice", "unknown user", "disabled user", "password hash renewed"] {
        assert!(log.contains(told), "the log does not tell: {told}\n{log}");
    }
    for hidden in [
        "to-look-for",
        "password1",
        "correct horse",
        "cyPPbYH",
        "$2b$05",
        "$argon2id$",
        token.as_str(),
        SECRET,
    ] {
        let found = log.lines().find(|line| line.contains(hidden));
        assert!(found.is_none(), "{hidden}: {found:?}");
    }
}

#[tokio::test]
async fn no_event_and_no_metric_holds_a_password_a_hash_or_a_name() {
    let folder = TempDir::new().unwrap();
    let settings = to_file(folder.path(), AuditMode::Required, 1000);
    let server = TestServer::with(|own| *own = settings).await;
    let root = &server.root;
    let who = v1::User { user_id: "u-alice".to_owned(), ..user("alice-to-look-for") };
    accepted(create(root, who, PASSWORD).await);
    let named = |username: &str, password: &str| v1::LoginRequest {
        username: username.to_owned(),
        scopes: vec![],
        ..alice(password)
    };
    accepted(log_in(root, named("alice-to-look-for", PASSWORD)).await);
    for (name, password) in [("alice-to-look-for", WRONG), (MISPLACED, PASSWORD)] {
        assert_refused(log_in(root, named(name, password)).await, Code::Unauthenticated, "LOGIN_FAILED");
    }
    accepted(set_password(root, "u-alice", OTHER).await);
    assert_refused(set_password(root, "u-alice", "password1").await, Code::InvalidArgument, "FIELD_INVALID");
    let request = v1::SetUserPasswordRequest {
        user_id: "u-alice".to_owned(),
        password_hash: HASH.to_owned(),
        ..Default::default()
    };
    accepted(root.users().set_user_password(root.request(request)).await);

    let events = events(folder.path());
    // The user is logged, if it exists.
    let failed: Vec<_> = events
        .iter()
        .filter(|event| event["reason"] == "LOGIN_FAILED")
        .map(|event| (event["targets"].clone(), event["subject"].clone()))
        .collect();
    assert_eq!(failed, [(json!(["user/u-alice"]), Value::Null), (Value::Null, Value::Null)]);
    let told = format!("{}\n{}", json!(events), server.get("/metrics").await.2);
    for hidden in ["to-look-for", "password1", "cyPPbYH", "$2b$05", "$argon2id$"] {
        assert!(!told.contains(hidden), "{hidden}: {told}");
    }
}

//! What sessions leave behind: events, counts, and a row that yields nothing.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokend::{
    audit::AuditMode,
    proto::v1,
    store::{self, Location},
};

use crate::{
    audit::{events, to_file},
    harness::{TestServer, accepted, manual_clock, refused, settings},
    sessions::{
        assert_invalid, assert_reused, begin, refresh, refreshed, session_for_alice, sid, using, using_in,
    },
};

/// The last event of a call.
fn last(folder: &TempDir) -> Value {
    events(folder.path()).into_iter().rfind(|event| event["event"] == "call").unwrap()
}

#[tokio::test]
async fn each_step_of_a_session_leaves_an_event() {
    let folder = TempDir::new().unwrap();
    let settings = to_file(folder.path(), AuditMode::Required, 1000);
    let server = TestServer::with(|own| *own = settings).await;
    let permissions =
        v1::Permissions { methods: vec!["TokenService/RefreshToken".to_owned()], ..Default::default() };
    let client =
        v1::Client { client_id: "thief".to_owned(), permissions: Some(permissions), ..Default::default() };
    let thief = server.client(client).await;

    let begun = accepted(server.root.issue(session_for_alice()).await);
    let session = json!([format!("session/{}", sid(&begun.access_token))]);
    let event = last(&folder);
    assert_eq!((&event["targets"], &event["jti"]), (&session, &json!(begun.jwt_id)));

    let next = accepted(refresh(&server.root, using(&begun.refresh_token)).await);
    let event = last(&folder);
    assert_eq!(event["method"], "tokend.v1.TokenService/RefreshToken");
    assert_eq!((&event["outcome"], &event["subject"]), (&json!("ok"), &json!("alice")));
    assert_eq!((&event["targets"], &event["jti"]), (&session, &json!(next.jwt_id)));
    let policy = event["policy"].as_str().unwrap();
    assert!(policy.starts_with("TokenService/RefreshToken by permissions.methods[0] \"*\""), "{policy}");

    assert_invalid(&thief, &next.refresh_token).await;
    let event = last(&folder);
    let told = ["outcome", "reason", "client_id"].map(|name| event[name].as_str().unwrap());
    assert_eq!(told, ["refused", "REFRESH_TOKEN_INVALID", "thief"]);
    assert_eq!(event["targets"], session, "whose token it was is known");

    server.clock.advance(60);
    assert_reused(&server.root, &begun.refresh_token).await;
    let event = last(&folder);
    let told = ["outcome", "code", "reason", "subject"].map(|name| event[name].as_str().unwrap());
    assert_eq!(told, ["refused", "UNAUTHENTICATED", "REFRESH_TOKEN_REUSED", "alice"]);
    assert_eq!(event["targets"], session);
}

#[tokio::test]
async fn sessions_and_refreshes_are_counted() {
    let server = TestServer::start().await;
    for outcome in ["rotated", "repeated", "invalid", "reused", "denied", "error"] {
        let line = format!("tokend_refreshes_total{{outcome=\"{outcome}\"}} 0");
        let metrics = server.get("/metrics").await.2;
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    let used = begin(&server.root).await;
    begin(&server.root).await;
    let good = accepted(refresh(&server.root, using_in(&used, 1)).await).refresh_token;
    for _ in 0..2 {
        refreshed(&server.root, &used).await;
    }
    let denied = v1::RefreshTokenRequest { scopes: vec!["more".to_owned()], ..using(&good) };
    refused(refresh(&server.root, denied).await);
    let other = v1::RefreshTokenRequest { scopes: vec!["read".to_owned()], ..using_in(&used, 1) };
    refused(refresh(&server.root, other).await);
    server.clock.advance(60);
    assert_reused(&server.root, &used).await;
    for _ in 0..3 {
        assert_invalid(&server.root, &good).await;
    }
    let metrics = server.get("/metrics").await.2;
    for line in [
        "tokend_sessions_begun_total 2",
        "tokend_refreshes_total{outcome=\"rotated\"} 1",
        "tokend_refreshes_total{outcome=\"repeated\"} 2",
        "tokend_refreshes_total{outcome=\"denied\"} 2",
        "tokend_refreshes_total{outcome=\"reused\"} 1",
        "tokend_refreshes_total{outcome=\"invalid\"} 3",
        "tokend_refreshes_total{outcome=\"error\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn the_store_alone_yields_no_refresh_token() {
    let folder = TempDir::new().unwrap();
    let location = Location::Sqlite(folder.path().join("tokend.db"));
    let mut server = TestServer::on(store::open(&location).await.unwrap(), settings(), manual_clock()).await;
    let mut tokens = vec![begin(&server.root).await];
    for request in 1..4 {
        let answer = accepted(refresh(&server.root, using_in(tokens.last().unwrap(), request)).await);
        tokens.push(answer.refresh_token);
    }
    server.begin_stop();
    server.stopped().await;
    let file: Vec<u8> = std::fs::read_dir(folder.path())
        .unwrap()
        .flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    let holds = |bytes: &[u8]| file.windows(bytes.len()).any(|window| window == bytes);
    for token in &tokens {
        let bytes = URL_SAFE_NO_PAD.decode(&token[4..]).unwrap();
        for hidden in [token.as_bytes(), &token.as_bytes()[4..], &bytes[16..48], &bytes[48..]] {
            assert!(!holds(hidden), "{hidden:?}");
        }
    }
    // That is where it would be found.
    let good = URL_SAFE_NO_PAD.decode(&tokens[3][4..]).unwrap();
    assert!(holds(digest(&SHA256, &good[16..48]).as_ref()), "the digest is there");
}

//! The audit log: which calls leave an event, what it says, and what becomes of calls when it cannot be written.

use std::{fs, path::Path, sync::Arc};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokend::{
    audit::{AuditMode, AuditSettings, SinkSettings},
    model::ClientSecret,
    proto::v1,
    server::Settings,
};
use tonic::Code;

use crate::harness::{TestClient, TestServer, accepted, assert_refused, for_alice, seconds, settings};

/// Settings that write to a file in this folder.
pub fn to_file(folder: &Path, mode: AuditMode, buffer: usize) -> Settings {
    let sinks = vec![SinkSettings::File(folder.join("audit.jsonl"))];
    Settings { audit: AuditSettings { mode, sinks, buffer }, ..settings() }
}

/// The events in that file so far.
pub fn events(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("audit.jsonl")).unwrap_or_default();
    // The last line may be there in part.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Those of calls.
pub fn calls(folder: &Path) -> Vec<Value> {
    events(folder).into_iter().filter(|event| event["event"] == "call").collect()
}

/// A server whose every event is in the file before its call is answered.
pub async fn required(folder: &Path) -> TestServer {
    let settings = to_file(folder, AuditMode::Required, 1000);
    TestServer::with(|own| *own = settings).await
}

/// The events of what `call` does.
async fn left_by<T>(folder: &Path, call: impl Future<Output = T>) -> (T, Vec<Value>) {
    let before = calls(folder).len();
    let answer = call.await;
    (answer, calls(folder).split_off(before))
}

/// The one event of what `call` does.
pub async fn event_of<T>(folder: &Path, call: impl Future<Output = T>) -> (T, Value) {
    let (answer, mut left) = left_by(folder, call).await;
    assert_eq!(left.len(), 1, "{left:#?}");
    (answer, left.remove(0))
}

#[tokio::test]
async fn a_token_leaves_an_event_that_tells_everything_but_the_token() {
    let folder = TempDir::new().unwrap();
    let server = required(folder.path()).await;
    let mut request = server.root.request(for_alice());
    request.metadata_mut().insert("x-request-id", "order-17".parse().unwrap());
    let (answer, event) = event_of(folder.path(), server.root.tokens().issue_token(request)).await;
    let issued = accepted(answer).into_inner();
    let expected = json!({
        "time": "2026-01-01T00:00:00Z",
        "instance": event["instance"],
        "sequence": event["sequence"],
        "event": "call",
        "method": "tokend.v1.TokenService/IssueToken",
        "outcome": "ok",
        "code": "OK",
        "client_id": "root",
        "authentication": "client_secret",
        "peer": "127.0.0.1",
        "policy": "TokenService/IssueToken by permissions.methods[0] \"*\", audiences[0] by permissions.audiences[0] \"*\", scopes[0] by \
                   permissions.scopes[0] \"*\", subject by permissions.subjects[0] \"*\", ttl by permissions.max_ttl 86400 s",
        "request_id": "order-17",
        "subject": "alice",
        "audiences": ["orders"],
        "scopes": ["read"],
        "jti": issued.jwt_id,
        "kid": issued.key_id,
        "exp": issued.expire_time.unwrap().seconds,
    });
    assert_eq!(event["instance"].as_str().unwrap().len(), 12);
    assert_eq!(event, expected);
    // What the client left to its defaults is there too.
    let (_, event) = event_of(folder.path(), server.root.issue(v1::IssueTokenRequest::default())).await;
    assert_eq!((&event["subject"], &event["audiences"]), (&json!("root"), &json!(["all"])));
}

#[tokio::test]
async fn a_rotation_that_comes_by_itself_leaves_an_event() {
    let folder = TempDir::new().unwrap();
    let server = required(folder.path()).await;
    let signed_by = accepted(server.root.issue(for_alice()).await).key_id;
    server.clock.advance(31 * 86_400);
    server.rounds.make().await.unwrap();
    let heir = accepted(server.root.issue(for_alice()).await).key_id;
    let steps: Vec<Value> =
        events(folder.path()).into_iter().filter(|event| event["event"] == "keys_changed").collect();
    let activated = steps.iter().find(|event| event["step"] == "activate").unwrap();
    for key_id in [signed_by, heir] {
        assert!(
            activated["targets"].as_array().unwrap().contains(&json!(format!("key/{key_id}"))),
            "{steps:#?}"
        );
    }
}

#[tokio::test]
async fn looking_leaves_none_and_being_refused_does() {
    let folder = TempDir::new().unwrap();
    let server = required(folder.path()).await;
    let root = &server.root;
    let token = root.token().await;
    let looking = async {
        accepted(root.check(&token).await);
        accepted(root.clients().list_clients(root.request(v1::ListClientsRequest::default())).await);
        accepted(root.keys().list_keys(root.request(v1::ListKeysRequest::default())).await);
        accepted(root.trust().get_trust_bundle(v1::GetTrustBundleRequest {}).await);
        let batch = v1::BatchVerifyTokensRequest { requests: vec![for_orders(&token)] };
        accepted(root.tokens().batch_verify_tokens(root.request(batch)).await);
    };
    let ((), left) = left_by(folder.path(), looking).await;
    assert_eq!(left, Vec::<Value>::new());

    let (_, event) = event_of(folder.path(), root.check("e30.e30.AAAA")).await;
    assert_eq!((&event["outcome"], &event["code"]), (&json!("refused"), &json!("INVALID_ARGUMENT")));
    assert_eq!((&event["reason"], &event["client_id"]), (&json!("TOKEN_MALFORMED"), &json!("root")));

    let requests =
        vec![for_orders(&token), for_orders("a.b.c"), for_orders("a.b.c"), for_orders(&format!("{token}A"))];
    let batch = root.request(v1::BatchVerifyTokensRequest { requests });
    let (answer, event) = event_of(folder.path(), root.tokens().batch_verify_tokens(batch)).await;
    accepted(answer);
    assert_eq!(event["outcome"], "ok");
    let items = event["items"].as_object().unwrap();
    assert_eq!(items.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 3, "{items:?}");
    assert_eq!(items["TOKEN_MALFORMED"], 2);

    let stranger = TestClient::new(server.grpc, Some(ClientSecret::from_text("tkd_root_wrong"))).await;
    let (_, event) = event_of(folder.path(), stranger.check(&token)).await;
    assert_eq!((&event["reason"], event.get("client_id")), (&json!("CREDENTIALS_INVALID"), None));
}

fn for_orders(token: &str) -> v1::VerifyTokenRequest {
    v1::VerifyTokenRequest {
        token: token.to_owned(),
        audiences: vec!["orders".to_owned()],
        ..Default::default()
    }
}

#[tokio::test]
async fn a_denial_says_what_was_asked_and_which_field_is_denied() {
    let folder = TempDir::new().unwrap();
    let server = required(folder.path()).await;
    let permissions = v1::Permissions {
        methods: vec!["TokenService/*".to_owned()],
        audiences: vec!["orders".to_owned()],
        ..Default::default()
    };
    let client =
        v1::Client { client_id: "web".to_owned(), permissions: Some(permissions), ..Default::default() };
    let web = server.client(client).await;
    let asked =
        v1::IssueTokenRequest { audiences: vec!["orders".to_owned(), "billing".to_owned()], ..for_alice() };
    let (answer, event) = event_of(folder.path(), web.issue(asked)).await;
    assert_refused(answer, Code::PermissionDenied, "AUDIENCE_NOT_ALLOWED");
    let told = ["client_id", "reason", "field", "subject"].map(|name| event[name].as_str().unwrap());
    assert_eq!(told, ["web", "AUDIENCE_NOT_ALLOWED", "audiences[1]", "alice"]);
    assert_eq!(event["audiences"], json!(["orders", "billing"]));
    assert_eq!(event.get("jti"), None);
}

#[tokio::test]
async fn each_change_names_what_it_changes() {
    let folder = TempDir::new().unwrap();
    let server = required(folder.path()).await;
    let (root, at) = (&server.root, folder.path());
    let client = Some(v1::Client { client_id: "web".to_owned(), ..Default::default() });
    let create = || root.request(v1::CreateClientRequest { client: client.clone(), ..Default::default() });
    let (_, event) = event_of(at, root.clients().create_client(create())).await;
    assert_eq!((&event["targets"], &event["outcome"]), (&json!(["client/web"]), &json!("ok")));
    let (_, event) = event_of(at, root.clients().create_client(create())).await;
    assert_eq!(
        (&event["targets"], &event["reason"]),
        (&json!(["client/web"]), &json!("CLIENT_ALREADY_EXISTS"))
    );
    let named = root.request(v1::CreateClientRequest::default());
    let (answer, event) = event_of(at, root.clients().create_client(named)).await;
    let given = answer.unwrap().into_inner().client.unwrap().client_id;
    assert_eq!(event["targets"], json!([format!("client/{given}")]));
    let rotate = v1::RotateClientSecretRequest {
        client_id: "web".to_owned(),
        overlap: seconds(0),
        ..Default::default()
    };
    let (_, event) = event_of(at, root.clients().rotate_client_secret(root.request(rotate))).await;
    assert_eq!(event["targets"], json!(["client/web"]));
    let delete = v1::DeleteClientRequest { client_id: "web".to_owned(), ..Default::default() };
    let (_, event) = event_of(at, root.clients().delete_client(root.request(delete))).await;
    assert_eq!(
        (&event["targets"], &event["method"]),
        (&json!(["client/web"]), &json!("tokend.v1.ClientService/DeleteClient"))
    );

    let rotate = root.request(v1::RotateKeysRequest { immediately: true, ..Default::default() });
    let (answer, event) = event_of(at, root.keys().rotate_keys(rotate)).await;
    let keys = answer.unwrap().into_inner().keys;
    let targets: Vec<String> = keys.iter().map(|key| format!("key/{}", key.key_id)).collect();
    assert_eq!(event["targets"], json!(targets));
    let revoke = v1::RevokeKeyRequest {
        key_id: keys[0].key_id.clone(),
        reason: "a drill".to_owned(),
        ..Default::default()
    };
    let (_, event) = event_of(at, root.keys().revoke_key(root.request(revoke))).await;
    assert_eq!(event["targets"], json!([format!("key/{}", keys[0].key_id)]));
    assert_eq!(event["cause"], "a drill");
}

#[tokio::test]
async fn what_a_caller_writes_cannot_forge_a_line() {
    let folder = TempDir::new().unwrap();
    let server = required(folder.path()).await;
    let token = server.root.token().await;
    let subject = "a\u{202e}\\\"},{\"outcome\":\"ok\"\u{7f}".to_owned();
    let long = "x".repeat(255);
    let audiences: Vec<String> =
        (0..20).map(|number| format!("{long}{number}")).chain([token.clone()]).collect();
    let asked = v1::IssueTokenRequest { subject, audiences, ..for_alice() };
    let (_, left) = left_by(folder.path(), server.root.issue(asked)).await;
    for event in &left {
        let line = event.to_string();
        assert!(line.len() < 8192 && !line.contains(&token), "{line}");
        assert!(!line.contains(['\u{202e}', '\u{7f}', '\n']), "{line}");
        assert_eq!(event["client_id"], "root");
    }
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn no_audit_no_answer_until_it_can_be_written_again() {
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join("logs");
    fs::create_dir(&inner).unwrap();
    let server = required(&inner).await;
    let token = server.root.token().await;
    fs::remove_dir_all(&inner).unwrap();
    assert_refused(server.root.issue(for_alice()).await, Code::Unavailable, "AUDIT_UNAVAILABLE");
    // From here on nothing is begun that would leave an event.
    let client = Some(v1::Client { client_id: "web".to_owned(), ..Default::default() });
    let create = server.root.request(v1::CreateClientRequest { client, ..Default::default() });
    let answer = server.root.clients().create_client(create).await;
    assert_refused(answer, Code::Unavailable, "AUDIT_UNAVAILABLE");
    assert_eq!(server.store.clients().await.unwrap().len(), 1);
    // What leaves none is answered as ever.
    accepted(server.root.check(&token).await);
    assert_refused(server.root.check("a.b.c").await, Code::Unavailable, "AUDIT_UNAVAILABLE");
    fs::create_dir(&inner).unwrap();
    while server.root.issue(for_alice()).await.is_err() {}
    let lost = waited_for(&inner, 1).await.into_iter().filter(|event| event["event"] == "events_lost");
    assert_eq!(lost.map(|event| event["lost"].as_u64().unwrap()).sum::<u64>(), 2);
    let metrics = server.get("/metrics").await.2;
    assert!(metrics.contains("tokend_audit_events_lost_total{sink=\"file\"} 2"), "{metrics}");
}

/// The events, when there are so many.
async fn waited_for(folder: &Path, count: usize) -> Vec<Value> {
    loop {
        // A line may be there in part.
        let text = fs::read_to_string(folder.join("audit.jsonl")).unwrap_or_default();
        if text.ends_with('\n') && text.lines().count() >= count {
            return events(folder);
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_full_buffer_loses_events_and_says_how_many() {
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join("logs");
    fs::create_dir(&inner).unwrap();
    let settings = to_file(&inner, AuditMode::Buffered, 3);
    let server = TestServer::with(|own| *own = settings).await;
    let jti = accepted(server.root.issue(for_alice()).await).jwt_id;
    let before = loop {
        if let Some(event) = events(&inner).into_iter().find(|event| event["jti"] == jti.as_str()) {
            break event["sequence"].as_u64().unwrap();
        }
        tokio::task::yield_now().await;
    };
    fs::remove_dir_all(&inner).unwrap();
    for _ in 0..20 {
        accepted(server.root.issue(for_alice()).await);
    }
    fs::create_dir(&inner).unwrap();
    let lost = loop {
        if let Some(lost) =
            waited_for(&inner, 1).await.into_iter().find(|event| event["event"] == "events_lost")
        {
            break lost["lost"].as_u64().unwrap();
        }
        tokio::task::yield_now().await;
    };
    // Those wait that the buffer holds, and those that the writer has gathered meanwhile.
    assert!((13..20).contains(&lost), "{lost}");
    let kept = usize::try_from(20 - lost).unwrap();
    let written = waited_for(&inner, kept + 1).await;
    let calls = written.iter().filter(|event| event["event"] == "call");
    let numbers: Vec<u64> = calls.map(|event| event["sequence"].as_u64().unwrap()).collect();
    assert_eq!(numbers.len(), kept);
    assert_eq!(numbers[0], before + 1, "the first ones wait, the last ones are lost: {numbers:?}");
    let metrics = server.get("/metrics").await.2;
    assert!(
        metrics.contains(&format!("tokend_audit_events_lost_total{{sink=\"file\"}} {lost}")),
        "{metrics}"
    );
}

#[tokio::test]
async fn what_waits_is_written_when_the_server_stops() {
    let folder = TempDir::new().unwrap();
    let settings = to_file(folder.path(), AuditMode::Buffered, 1000);
    let mut server = TestServer::with(|own| *own = settings).await;
    for _ in 0..100 {
        accepted(server.root.issue(for_alice()).await);
    }
    server.begin_stop();
    server.stopped().await;
    let written = events(folder.path());
    let calls = written.iter().filter(|event| event["event"] == "call").count();
    let numbers: Vec<u64> = written.iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
    assert_eq!((calls, numbers), (100, (1..=written.len() as u64).collect()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_calls_at_once_leave_as_many_events() {
    let folder = TempDir::new().unwrap();
    let server = Arc::new(required(folder.path()).await);
    let running: Vec<_> = (0..200)
        .map(|_| {
            let root = server.root.clone();
            tokio::spawn(async move { accepted(root.issue(for_alice()).await).jwt_id })
        })
        .collect();
    let mut issued = Vec::new();
    for call in running {
        issued.push(call.await.unwrap());
    }
    let mut written: Vec<String> =
        calls(folder.path()).iter().map(|event| event["jti"].as_str().unwrap().to_owned()).collect();
    issued.sort();
    written.sort();
    assert_eq!(issued, written);
}

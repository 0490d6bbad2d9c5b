//! What exchange and introspection leave in the audit log.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokend::{audit::AuditMode, proto::v1};
use tonic::Code;

use crate::{
    audit::{events, to_file},
    caller_workloads::{CLUSTER, by_cluster, cluster_keys, pod, trusting},
    exchanges::{alices, assert_denied, client, exchange_by, exchange_of, orders_may, texts},
    harness::{START, TestServer, accepted, assert_refused, for_alice},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::with,
};

/// The event of the last call of this method.
fn last(folder: &Path, method: &str) -> Option<Value> {
    let method = format!("tokend.v1.TokenService/{method}");
    events(folder).into_iter().rfind(|event| event["method"] == method)
}

#[tokio::test]
async fn an_exchange_says_for_whom_who_acts_and_by_which_lines() {
    let folder = TempDir::new().unwrap();
    let settings = to_file(folder.path(), AuditMode::Required, 1000);
    let server = TestServer::with(|own| *own = settings).await;
    let orders = client(&server, "orders", orders_may()).await;
    let subject = alices(&server).await;
    let actor = v1::IssueTokenRequest { subject: "job".to_owned(), ..for_alice() };
    let actor = accepted(server.root.issue(actor).await).access_token;
    let request = v1::ExchangeTokenRequest {
        audiences: texts(&["billing"]),
        scopes: texts(&["read"]),
        ..exchange_by(&subject, &actor)
    };
    let answer = accepted(orders.exchange(request).await);
    let event = last(folder.path(), "ExchangeToken").unwrap();
    let mut expected = json!({
        "event": "call", "method": "tokend.v1.TokenService/ExchangeToken", "outcome": "ok", "code": "OK",
        "client_id": "orders", "authentication": "client_secret", "peer": "127.0.0.1",
        "policy": "TokenService/ExchangeToken by permissions.methods[0] \"TokenService/ExchangeToken\", subject_token by \
                   permissions.exchange_subjects[0] \"alice\", audiences[0] by permissions.audiences[0] \"billing\", \
                   scopes[0] by permissions.scopes[0] \"read\", ttl by permissions.…",
        "subject": "alice", "actor": "job", "audiences": ["billing"], "scopes": ["read"],
        "jti": answer.jwt_id, "kid": answer.key_id, "exp": START + 600,
    });
    for name in ["time", "instance", "sequence", "request_id"] {
        expected[name] = event[name].clone();
    }
    assert_eq!(event, expected);

    accepted(orders.exchange(exchange_of(&subject)).await);
    let event = last(folder.path(), "ExchangeToken").unwrap();
    assert_eq!(event.get("actor"), None);
    assert!(event["policy"].as_str().unwrap().contains("actor_token by permissions.impersonate"));
    // A refusal leaves the field in the event, and nothing of the tokens.
    let billing = client(&server, "billing", orders_may()).await;
    assert_denied(billing.exchange(exchange_of(&subject)).await, "AUDIENCE_NOT_ALLOWED", "subject_token");
    let event = last(folder.path(), "ExchangeToken").unwrap();
    assert_eq!(
        (&event["outcome"], &event["reason"], &event["field"]),
        (&json!("refused"), &json!("AUDIENCE_NOT_ALLOWED"), &json!("subject_token"))
    );
    let bad = orders.exchange(exchange_by(&subject, "garbage")).await;
    assert_refused(bad, Code::InvalidArgument, "TOKEN_MALFORMED");
    let event = last(folder.path(), "ExchangeToken").unwrap();
    assert_eq!((&event["reason"], &event["field"]), (&json!("TOKEN_MALFORMED"), &json!("actor_token")));
    let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert!(!text.contains(&subject) && !text.contains(&actor) && !text.contains(&answer.access_token));
}

#[tokio::test]
async fn identities_of_another_issuer_are_written_with_it() {
    let folder = TempDir::new().unwrap();
    let settings = to_file(folder.path(), AuditMode::Required, 1000);
    let stand_in = JwksStandIn::start(Answer::Set(cluster_keys())).await;
    let trust = trusting(&stand_in.uri());
    let server = TestServer::with(|own| {
        *own = settings;
        trust(own);
    });
    let server = server.await;
    let may = v1::Permissions {
        exchange_issuers: texts(&["*"]),
        exchange_audiences: texts(&["*"]),
        exchange_subjects: texts(&["*"]),
        ..orders_may()
    };
    let orders = client(&server, "orders", may).await;
    let theirs = by_cluster(&with(&pod(), "sub", "root"));
    let request =
        v1::ExchangeTokenRequest { audiences: texts(&["billing"]), ..exchange_by(&theirs, &theirs) };
    accepted(orders.exchange(request).await);
    let event = last(folder.path(), "ExchangeToken").unwrap();
    let expected = json!(format!("foreign:{CLUSTER}#root"));
    assert_eq!((&event["subject"], &event["actor"]), (&expected, &expected));
}

#[tokio::test]
async fn a_question_about_a_token_leaves_an_event_if_it_may_not_be_asked() {
    let folder = TempDir::new().unwrap();
    let settings = to_file(folder.path(), AuditMode::Required, 1000);
    let server = TestServer::with(|own| *own = settings).await;
    let token = alices(&server).await;
    assert!(accepted(server.root.introspect(&token, &["orders"]).await).active);
    assert!(!accepted(server.root.introspect("garbage", &["orders"]).await).active);
    assert_eq!(last(folder.path(), "IntrospectToken"), None);
    let orders = client(&server, "orders", orders_may()).await;
    let denied = orders.introspect(&token, &[]).await;
    assert_refused(denied, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
    let event = last(folder.path(), "IntrospectToken").unwrap();
    assert_eq!((&event["client_id"], &event["reason"]), (&json!("orders"), &json!("METHOD_NOT_ALLOWED")));
}

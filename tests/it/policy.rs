//! Policy, beyond lists of patterns: roles, and what claims may be.

use tokend::proto::v1;
use tonic::{Code, Status};

use crate::harness::{TestClient, TestServer, accepted, assert_refused, refused};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn allowed(permissions: v1::Permissions) -> v1::Client {
    v1::Client { permissions: Some(permissions), ..Default::default() }
}

/// Whether the caller may call a method of each kind: those that read, and those that change clients, users and keys.
async fn may(caller: &TestClient) -> [bool; 6] {
    fn is_allowed<T>(answer: Result<T, Status>) -> bool {
        // Malformed on purpose: who is allowed is told of that.
        let status = refused(answer);
        assert!(
            matches!(status.code(), Code::PermissionDenied | Code::InvalidArgument | Code::Unimplemented),
            "{status:?}"
        );
        status.code() != Code::PermissionDenied
    }
    let (clients, keys) = (|| caller.clients(), || caller.keys());
    let bad = "x".to_owned();
    [
        is_allowed(
            clients().get_client(caller.request(v1::GetClientRequest { client_id: String::new() })).await,
        ),
        is_allowed(
            keys()
                .list_keys(
                    caller.request(v1::ListKeysRequest { page_token: bad.clone(), ..Default::default() }),
                )
                .await,
        ),
        is_allowed(
            clients()
                .update_client(
                    caller.request(v1::UpdateClientRequest { request_id: bad.clone(), ..Default::default() }),
                )
                .await,
        ),
        is_allowed(clients().delete_client(caller.request(v1::DeleteClientRequest::default())).await),
        is_allowed(
            keys()
                .create_key(caller.request(v1::CreateKeyRequest { request_id: bad, ..Default::default() }))
                .await,
        ),
        is_allowed(
            caller
                .tokens()
                .issue_token(
                    caller.request(v1::IssueTokenRequest { audiences: texts(&[""]), ..Default::default() }),
                )
                .await,
        ),
    ]
}

#[tokio::test]
async fn roles_allow_their_methods_and_no_others() {
    let server = TestServer::start().await;
    for (roles, expected) in [
        (&[][..], [false; 6]),
        (&["viewer"], [true, true, false, false, false, false]),
        (&["client-admin"], [true, false, true, true, false, false]),
        (&["key-admin"], [false, true, false, false, true, false]),
        (&["user-admin"], [false; 6]),
        (&["viewer", "key-admin"], [true, true, false, false, true, false]),
        (&["admin"], [true, true, true, true, true, false]),
    ] {
        let client = allowed(v1::Permissions { roles: texts(roles), ..Default::default() });
        assert_eq!(may(&server.client(client).await).await, expected, "{roles:?}");
    }
    // A role adds to methods, and takes nothing away.
    let both = v1::Permissions {
        roles: texts(&["viewer"]),
        methods: texts(&["KeyService/CreateKey"]),
        ..Default::default()
    };
    assert_eq!(may(&server.client(allowed(both)).await).await, [true, true, false, false, true, false]);
}

#[tokio::test]
async fn claims_have_the_values_that_policy_names() {
    let server = TestServer::start().await;
    let condition =
        |claim: &str, values: &[&str]| v1::ClaimCondition { claim: claim.to_owned(), values: texts(values) };
    let web = server
        .client(allowed(v1::Permissions {
            methods: texts(&["TokenService/IssueToken"]),
            audiences: texts(&["orders"]),
            claims: texts(&["tenant", "limits", "free"]),
            claim_values: vec![
                condition("tenant", &["acme", "42", "true"]),
                condition("/limits/rate", &["1*"]),
            ],
            ..Default::default()
        }))
        .await;
    let issue = async |claims_json: &str| {
        let request = v1::IssueTokenRequest {
            audiences: texts(&["orders"]),
            claims_json: claims_json.to_owned(),
            ..Default::default()
        };
        web.issue(request).await
    };
    for claims in [
        r#"{"tenant":"acme"}"#,
        r#"{"tenant":42}"#,
        r#"{"tenant":"42","free":[{"tenant":"other"}]}"#,
        r#"{"tenant":true}"#,
        r#"{"limits":{"rate":10}}"#,
        r#"{"limits":{"burst":99}}"#,
        "{}",
    ] {
        accepted(issue(claims).await);
    }
    for (claims, field) in [
        (r#"{"tenant":"acme2"}"#, "claims.tenant"),
        (r#"{"free":1,"tenant":["acme"]}"#, "claims.tenant"),
        (r#"{"tenant":null}"#, "claims.tenant"),
        (r#"{"tenant":42.0}"#, "claims.tenant"),
        (r#"{"limits":{"rate":20}}"#, "claims.limits"),
        (r#"{"limits":"none"}"#, "claims.limits"),
        (r#"{"limits":[20]}"#, "claims.limits"),
        (r#"{"tenant":"acme","other\n\u001b\"":1}"#, r#"claims.other\n\u{1b}\""#),
    ] {
        let status = assert_refused(issue(claims).await, Code::PermissionDenied, "CLAIM_NOT_ALLOWED");
        assert_eq!(denied_field(&status), field);
        assert!(!status.message().contains("acme2"), "{}", status.message());
    }
    let long = format!(r#"{{"{}":1}}"#, "n".repeat(500));
    let status = refused(issue(&long).await);
    assert_eq!(denied_field(&status), format!("claims.{}…", "n".repeat(64)));
}

fn denied_field(status: &Status) -> String {
    use tonic_types::StatusExt as _;
    status.get_details_error_info().unwrap().metadata["field"].clone()
}

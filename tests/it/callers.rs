//! Who may call, and what they may have.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokend::{model::ClientSecret, proto::v1};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::harness::{TestClient, TestServer, accepted, assert_refused, for_alice, reason, refused, seconds};

/// IssueToken with these `authorization` values.
async fn issue_with(server: &TestServer, values: &[&str]) -> Result<v1::IssueTokenResponse, Status> {
    let mut request = Request::new(for_alice());
    for value in values {
        request.metadata_mut().append("authorization", value.parse().unwrap());
    }
    Ok(server.root.tokens().issue_token(request).await?.into_inner())
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// A client that may issue for `orders` and `billing-*`, and verify for `shop` and `shop-*`.
fn limited() -> v1::Client {
    v1::Client {
        client_id: "web".to_owned(),
        permissions: Some(v1::Permissions {
            methods: texts(&["TokenService/IssueToken", "TokenService/Verify*"]),
            audiences: texts(&["orders", "billing-*"]),
            scopes: texts(&["read", "orders.*"]),
            subjects: texts(&["alice", "user:*"]),
            claims: texts(&["tenant", "x-*"]),
            max_ttl: seconds(300),
            verify_audiences: texts(&["shop", "shop-*"]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn bearer_and_basic_secrets_open_the_door() {
    let server = TestServer::start().await;
    let secret = server.root.secret.clone().unwrap();
    let secret = secret.reveal();
    assert!(secret.starts_with("tkd_root_"), "the form that scanners look for");
    let basic = STANDARD.encode(format!("root:{secret}"));
    for value in [
        format!("Bearer {secret}"),
        format!("bearer {secret}"),
        format!("BEARER {secret}"),
        format!("Basic {basic}"),
        format!("basic {basic}"),
    ] {
        accepted(issue_with(&server, &[&value]).await);
    }
}

#[tokio::test]
async fn every_other_credential_is_refused_in_the_same_words() {
    let server = TestServer::start().await;
    let secret = server.root.secret.clone().unwrap();
    let secret = secret.reveal();
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let good = format!("Bearer {secret}");
    let mut wrong = secret.to_owned();
    let last = wrong.pop().unwrap();
    wrong.push(if last == 'A' { 'B' } else { 'A' });
    let unknown = secret.replace("tkd_root_", "tkd_nobody_");
    let token = server.root.token().await;

    assert_refused(issue_with(&server, &[]).await, Code::Unauthenticated, "CREDENTIALS_MISSING");

    let mut messages = Vec::new();
    let values: Vec<Vec<String>> = vec![
        vec![format!("Bearer {wrong}")],
        vec![format!("Bearer {unknown}")],
        vec![basic(&format!("root:{wrong}"))],
        vec![basic(&format!("nobody:{secret}"))],
        vec![basic(&format!("nobody:{wrong}"))],
        vec![basic("root:")],
        vec![basic("root")],
        vec![basic(&format!("ROOT:{secret}"))],
        vec!["Basic !!!".to_owned()],
        vec![format!("Basic {}", STANDARD.encode([0xff, b':', 0xff]))],
        vec!["Bearer".to_owned()],
        vec!["Bearer ".to_owned()],
        vec![format!("Bearer  {secret}")],
        vec![format!("Bearer {secret} ")],
        vec![secret.to_owned()],
        vec![format!("Digest {secret}")],
        vec![format!("Bearer {}", "x".repeat(2000))],
        vec![format!("Bearer {token}")],
        vec![String::new()],
        vec![good.clone(), good.clone()],
        vec![good.clone(), basic(&format!("root:{secret}"))],
        vec![String::new(), good],
    ];
    for values in values {
        let borrowed: Vec<&str> = values.iter().map(String::as_str).collect();
        let answer = issue_with(&server, &borrowed).await;
        let status = assert_refused(answer, Code::Unauthenticated, "CREDENTIALS_INVALID");
        messages.push((status.message().to_owned(), status.details().to_vec()));
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "unknown, wrong and malformed are told apart: {messages:?}");
}

#[tokio::test]
async fn every_method_wants_a_credential_and_a_permission() {
    let server = TestServer::start().await;
    let nobody = TestClient { secret: None, ..server.root.clone() };
    let powerless = server.client(v1::Client::default()).await;
    for (caller, code, expected) in [
        (&nobody, Code::Unauthenticated, "CREDENTIALS_MISSING"),
        (&powerless, Code::PermissionDenied, "METHOD_NOT_ALLOWED"),
    ] {
        let (mut tokens, mut clients) = (caller.tokens(), caller.clients());
        // Each request is malformed too: authorization comes first.
        let bad_id = "NOT AN ID".to_owned();
        let issue = v1::IssueTokenRequest { ttl: seconds(-1), ..Default::default() };
        let verify = v1::VerifyTokenRequest { leeway: seconds(-1), ..Default::default() };
        let batch = v1::BatchVerifyTokensRequest { requests: vec![verify.clone(); 101] };
        let bad = v1::Client { client_id: bad_id.clone(), ..Default::default() };
        let create = v1::CreateClientRequest { client: Some(bad), ..Default::default() };
        let get = v1::GetClientRequest { client_id: bad_id.clone() };
        let list = v1::ListClientsRequest { page_size: -1, ..Default::default() };
        let delete = v1::DeleteClientRequest { client_id: bad_id.clone(), ..Default::default() };
        let rotate = v1::RotateClientSecretRequest { client_id: bad_id, ..Default::default() };
        assert_refused(tokens.issue_token(caller.request(issue)).await, code, expected);
        assert_refused(tokens.verify_token(caller.request(verify)).await, code, expected);
        assert_refused(tokens.batch_verify_tokens(caller.request(batch)).await, code, expected);
        assert_refused(clients.create_client(caller.request(create)).await, code, expected);
        assert_refused(clients.get_client(caller.request(get)).await, code, expected);
        assert_refused(clients.list_clients(caller.request(list)).await, code, expected);
        assert_refused(clients.delete_client(caller.request(delete)).await, code, expected);
        assert_refused(clients.rotate_client_secret(caller.request(rotate)).await, code, expected);
    }
}

#[tokio::test]
async fn a_client_is_issued_what_its_permissions_name_and_nothing_more() {
    let server = TestServer::start().await;
    let web = server.client(limited()).await;
    let good = || v1::IssueTokenRequest { audiences: texts(&["orders"]), ..for_alice() };
    accepted(web.issue(good()).await);
    let edges = v1::IssueTokenRequest {
        subject: "user:7".to_owned(),
        audiences: texts(&["billing-eu", "orders"]),
        scopes: texts(&["orders.cancel"]),
        claims_json: r#"{"tenant":"t1","x-trace":1}"#.to_owned(),
        ttl: seconds(300),
        ..Default::default()
    };
    accepted(web.issue(edges).await);
    let itself = v1::IssueTokenRequest { subject: String::new(), ..good() };
    accepted(web.issue(itself).await);

    let cases = [
        (
            v1::IssueTokenRequest { audiences: texts(&["orders", "admin"]), ..good() },
            "AUDIENCE_NOT_ALLOWED",
            "audiences[1]",
        ),
        (
            v1::IssueTokenRequest { audiences: texts(&["orders2"]), ..good() },
            "AUDIENCE_NOT_ALLOWED",
            "audiences[0]",
        ),
        (
            v1::IssueTokenRequest { audiences: texts(&["Orders"]), ..good() },
            "AUDIENCE_NOT_ALLOWED",
            "audiences[0]",
        ),
        (
            v1::IssueTokenRequest { audiences: texts(&["xbilling-eu"]), ..good() },
            "AUDIENCE_NOT_ALLOWED",
            "audiences[0]",
        ),
        (
            v1::IssueTokenRequest { scopes: texts(&["read", "write"]), ..good() },
            "SCOPE_NOT_ALLOWED",
            "scopes[1]",
        ),
        (v1::IssueTokenRequest { scopes: texts(&["orders"]), ..good() }, "SCOPE_NOT_ALLOWED", "scopes[0]"),
        (v1::IssueTokenRequest { subject: "bob".to_owned(), ..good() }, "SUBJECT_NOT_ALLOWED", "subject"),
        (v1::IssueTokenRequest { subject: "alice2".to_owned(), ..good() }, "SUBJECT_NOT_ALLOWED", "subject"),
        (
            v1::IssueTokenRequest { claims_json: r#"{"role":"admin"}"#.to_owned(), ..good() },
            "CLAIM_NOT_ALLOWED",
            "claims.role",
        ),
        (v1::IssueTokenRequest { ttl: seconds(301), ..good() }, "TTL_NOT_ALLOWED", "ttl"),
    ];
    for (request, expected, field) in cases {
        // Still denied for the same reason when the request is malformed besides.
        let malformed = v1::IssueTokenRequest { request_id: "bad".to_owned(), ..request.clone() };
        for request in [request, malformed] {
            let status = assert_refused(web.issue(request).await, Code::PermissionDenied, expected);
            assert_eq!(status.get_details_error_info().unwrap().metadata["field"], field);
        }
    }
    // The default life is never above the cap.
    assert_eq!(accepted(web.issue(good()).await).expires_in, seconds(300));
    // Without a default, an audience must be named.
    let status = refused(web.issue(v1::IssueTokenRequest { audiences: vec![], ..good() }).await);
    assert_eq!(reason(&status), "FIELD_INVALID");
}

#[tokio::test]
async fn a_caller_sees_tokens_of_its_own_audiences_only() {
    let server = TestServer::start().await;
    let web = server.client(limited()).await;
    let token = async |audiences: &[&str]| {
        let request = v1::IssueTokenRequest { audiences: texts(audiences), ..for_alice() };
        accepted(server.root.issue(request).await).access_token
    };
    let verify = async |token: &str, audiences: &[&str]| {
        let (token, audiences) = (token.to_owned(), texts(audiences));
        web.verify(v1::VerifyTokenRequest { token, audiences, ..Default::default() }).await
    };
    let shop = token(&["shop"]).await;
    let branch = token(&["shop-north"]).await;
    let orders = token(&["orders"]).await;
    let both = token(&["orders", "shop-south"]).await;

    // Its own audiences are the default.
    assert_eq!(accepted(verify(&shop, &[]).await).audiences, ["shop"]);
    assert_eq!(accepted(verify(&branch, &[]).await).audiences, ["shop-north"]);
    assert_eq!(accepted(verify(&both, &[]).await).audiences, ["shop-south"]);
    assert_refused(verify(&orders, &[]).await, Code::InvalidArgument, "TOKEN_AUDIENCE_MISMATCH");
    // Named ones must be among them, whatever the token is, and then match.
    accepted(verify(&shop, &["shop", "shop-x"]).await);
    assert_refused(verify(&branch, &["shop"]).await, Code::InvalidArgument, "TOKEN_AUDIENCE_MISMATCH");
    for (token, audiences) in
        [(&orders, ["orders"]), (&shop, ["orders"]), (&"garbage".to_owned(), ["orders"])]
    {
        assert_refused(verify(token, &audiences).await, Code::PermissionDenied, "AUDIENCE_NOT_ALLOWED");
    }
    let status = refused(verify(&shop, &["shop", "orders"]).await);
    assert_eq!(status.get_details_error_info().unwrap().metadata["field"], "audiences[1]");
    // `*` lets a client name any audience; it never means that any audience will do.
    let anyone = server
        .client(v1::Client {
            permissions: Some(v1::Permissions {
                methods: texts(&["TokenService/*"]),
                verify_audiences: texts(&["*"]),
                ..Default::default()
            }),
            ..Default::default()
        })
        .await;
    accepted(anyone.check(&orders).await);
    let unnamed = v1::VerifyTokenRequest { token: orders.clone(), ..Default::default() };
    assert_refused(anyone.verify(unnamed.clone()).await, Code::InvalidArgument, "FIELD_INVALID");
    // A client that may verify nothing has nothing to ask.
    let none = server
        .client(v1::Client {
            permissions: Some(v1::Permissions { methods: texts(&["*"]), ..Default::default() }),
            ..Default::default()
        })
        .await;
    assert_refused(none.verify(unnamed).await, Code::PermissionDenied, "AUDIENCE_NOT_ALLOWED");
}

#[tokio::test]
async fn a_disabled_client_is_as_good_as_unknown() {
    let server = TestServer::start().await;
    let disabled = server.client(v1::Client { disabled: true, ..limited() }).await;
    assert_refused(disabled.issue(for_alice()).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
}

#[tokio::test]
async fn secrets_are_never_printed() {
    let secret = ClientSecret::from_text("tkd_web_hidden");
    for printed in [format!("{secret:?}"), format!("{:?}", secret.digest())] {
        assert!(!printed.contains("hidden") && printed.contains("redacted"), "{printed}");
    }
}

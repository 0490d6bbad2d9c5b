//! The grants and tokens of OAuth 2.0 over HTTP: refresh, exchange, introspection, revocation, repeated requests; and where the
//! endpoints are.

use serde_json::json;
use tokend::proto::v1;

use crate::{
    harness::{ISSUER, TestServer, accepted, for_alice},
    oauth::{ACCESS_TOKEN, CLIENT_CREDENTIALS, EXCHANGE, basic, payload, post, root_basic, token},
};

#[tokio::test]
async fn a_refresh_token_is_used_once() {
    let server = TestServer::start().await;
    let root = root_basic(&server);
    let begun = accepted(
        server.root.issue(v1::IssueTokenRequest { include_refresh_token: true, ..for_alice() }).await,
    );
    let refresh = |token: String| {
        let (server, root) = (&server, &root);
        async move {
            self::token(server, root, &[("grant_type", "refresh_token"), ("refresh_token", &token)]).await
        }
    };
    let answer = refresh(begun.refresh_token.clone()).await;
    assert_eq!(payload(answer.token())["sub"], "alice");
    let next = answer.body["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(next, begun.refresh_token);
    refresh(next).await.token();
    server.clock.advance(60);
    let reused = refresh(begun.refresh_token).await;
    assert!(reused.refused(400, "invalid_grant").starts_with("REFRESH_TOKEN_REUSED: "));
    let unknown = refresh("tkr_unknown".to_owned()).await;
    assert!(unknown.refused(400, "invalid_grant").starts_with("REFRESH_TOKEN_INVALID: "));
}

#[tokio::test]
async fn a_token_is_exchanged() {
    let server = TestServer::start().await;
    let root = root_basic(&server);
    let subject = server.root.token().await;
    let fields = [
        ("grant_type", EXCHANGE),
        ("subject_token", &*subject),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", "billing"),
    ];
    let answer = token(&server, &root, &fields).await;
    assert_eq!(payload(answer.token())["aud"], "billing");
    assert_eq!(answer.body["issued_token_type"], ACCESS_TOKEN);
    // RFC 8693 section 2.2.2.
    let fields = [
        ("grant_type", EXCHANGE),
        ("subject_token", "a.b.c"),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", "billing"),
    ];
    assert!(token(&server, &root, &fields).await.refused(400, "invalid_request").starts_with("TOKEN_"));
}

#[tokio::test]
async fn introspection_shows_the_claims_until_the_token_is_revoked() {
    let server = TestServer::start().await;
    let root = root_basic(&server);
    let request = v1::IssueTokenRequest {
        // A claim cannot pass for a member of the response.
        claims_json: r#"{"active":false,"token_type":"x","number":12345678901234567890123,"tenant":"acme"}"#
            .to_owned(),
        ..for_alice()
    };
    let issued = accepted(server.root.issue(request).await).access_token;
    let introspect = |token: String| {
        let (server, root) = (&server, &root);
        async move {
            post(
                server,
                "/oauth2/introspect",
                root,
                &[("token", &token), ("token_type_hint", "access_token"), ("audience", "orders")],
            )
            .await
        }
    };
    let answer = introspect(issued.clone()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((&answer.body["active"], &answer.body["token_type"]), (&json!(true), &json!("Bearer")));
    for (name, value) in
        [("sub", "alice"), ("iss", ISSUER), ("tenant", "acme"), ("client_id", "root"), ("scope", "read")]
    {
        assert_eq!(answer.body[name], value, "{answer:?}");
    }
    assert!(answer.body["exp"].is_i64() && answer.body["iat"].is_i64(), "{answer:?}");
    let session = accepted(
        server.root.issue(v1::IssueTokenRequest { include_refresh_token: true, ..for_alice() }).await,
    );
    let refresh = introspect(session.refresh_token).await;
    assert_eq!(
        (&refresh.body["active"], &refresh.body["token_type"], &refresh.body["sub"]),
        (&json!(true), &json!("refresh_token"), &json!("alice"))
    );

    for token in [&issued, "unknown", "a.b.c"] {
        let answer =
            post(&server, "/oauth2/revoke", &root, &[("token", token), ("token_type_hint", "refresh_token")])
                .await;
        assert_eq!((answer.status, &answer.body), (200, &json!("")), "RFC 7009 section 2.2");
    }
    for token in [issued, "unknown".to_owned()] {
        assert_eq!(introspect(token).await.body, json!({"active": false}));
    }
    post(&server, "/oauth2/revoke", &root, &[]).await.refused(400, "invalid_request");
    post(&server, "/oauth2/revoke", "", &[("token", "x")]).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn a_repeated_request_has_one_effect() {
    let server = TestServer::start().await;
    let root = root_basic(&server);
    let fields =
        [CLIENT_CREDENTIALS, ("audience", "orders"), ("request_id", "5b1bbb0c-7f3c-4f0e-9d5b-0c0c9a9f7a11")];
    let first = token(&server, &root, &fields).await;
    let second = token(&server, &root, &fields).await;
    assert_eq!(first.token(), second.token());
    let other =
        [CLIENT_CREDENTIALS, ("audience", "billing"), ("request_id", "5b1bbb0c-7f3c-4f0e-9d5b-0c0c9a9f7a11")];
    assert!(
        token(&server, &root, &other).await.refused(400, "invalid_request").starts_with("REQUEST_ID_REUSED")
    );
}

#[tokio::test]
async fn limits_and_failures_say_when_to_retry() {
    let server =
        TestServer::with(|settings| settings.callers.failures_per_minute = std::num::NonZeroU32::MIN).await;
    let fields = [CLIENT_CREDENTIALS, ("audience", "orders")];
    token(&server, &basic("root", "wrong"), &fields).await.refused(401, "invalid_client");
    let limited = token(&server, &basic("root", "wrong"), &fields).await;
    assert!(limited.refused(429, "temporarily_unavailable").starts_with("RATE_LIMITED: "));
    assert!(limited.headers.contains("retry-after: "), "{limited:?}");
}

#[tokio::test]
async fn the_endpoints_of_an_issuer_with_a_path_are_below_it() {
    let server = TestServer::with(|settings| {
        settings.discovery.issuer = "https://example.com/auth/:x".to_owned();
        settings.discovery.oauth = Some(tokend::oauth::metadata("https://example.com/auth/:x", false));
    })
    .await;
    let root = root_basic(&server);
    for path in ["/oauth2/token", "/auth/:x/oauth2/token"] {
        post(&server, path, &root, &[CLIENT_CREDENTIALS, ("audience", "orders")]).await.token();
    }
    let (_, _, document) = server.get("/auth/:x/.well-known/openid-configuration").await;
    assert!(
        document.contains("\"token_endpoint\":\"https://example.com/auth/:x/oauth2/token\""),
        "{document}"
    );
}

#[tokio::test]
async fn without_the_setting_there_are_no_endpoints() {
    let server = TestServer::with(|settings| settings.discovery.oauth = None).await;
    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
        assert_eq!(
            post(&server, path, &root_basic(&server), &[CLIENT_CREDENTIALS]).await.status,
            405,
            "{path}"
        );
    }
    assert_eq!(server.get("/verify").await.0, 404);
    assert!(!server.get("/.well-known/openid-configuration").await.2.contains("endpoint"));
}

#[tokio::test]
async fn forms_share_the_memory_of_calls() {
    // Each byte of a form counts twice, beside the 16 KiB of a call.
    let server = TestServer::with(|settings| settings.serving.call_memory.per_source = 40_000).await;
    let root = root_basic(&server);
    let fields = |padding| [CLIENT_CREDENTIALS, ("audience", "orders"), ("padding", padding)];
    let (short, long) = ("a".repeat(8_000), "a".repeat(16_000));
    token(&server, &root, &fields(&short)).await.token();
    let answer = token(&server, &root, &fields(&long)).await;
    assert!(answer.refused(429, "temporarily_unavailable").starts_with("MEMORY_EXHAUSTED: "));
    // It was released.
    token(&server, &root, &fields(&short)).await.token();
}

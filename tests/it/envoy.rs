//! Envoy's external authorization: what Envoy asks, and what it does with the answer.

use std::collections::HashMap;

use envoy_types::pb::envoy::{
    config::core::v3::{HeaderMap, HeaderValue},
    service::auth::v3::{
        AttributeContext, CheckRequest, CheckResponse,
        attribute_context::{self, HttpRequest},
        authorization_client::AuthorizationClient,
        check_response::HttpResponse,
    },
};
use tokend::proto::v1;
use tonic::{Code, Status};

use crate::{
    exchanges::{client, texts},
    harness::{TestClient, TestServer, accepted, assert_refused, for_alice},
};

/// What Envoy is told to do.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// To pass the request on with these headers, and without those.
    Pass(Vec<(String, String)>, Vec<String>),
    /// To answer it with this status and challenge.
    Deny(i32, String),
}

async fn gateway(server: &TestServer) -> TestClient {
    let permissions = v1::Permissions {
        methods: texts(&["TokenService/VerifyToken"]),
        verify_audiences: texts(&["orders", "other"]),
        ..Default::default()
    };
    client(server, "envoy", permissions).await
}

fn request(route: &[(&str, &str)], http: HttpRequest) -> CheckRequest {
    let route = route.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    CheckRequest {
        attributes: Some(AttributeContext {
            context_extensions: route.collect(),
            request: Some(attribute_context::Request { http: Some(http), ..Default::default() }),
            ..Default::default()
        }),
    }
}

fn with_header(value: &str) -> HttpRequest {
    HttpRequest {
        headers: HashMap::from([("authorization".to_owned(), value.to_owned())]),
        ..Default::default()
    }
}

async fn ask(envoy: &TestClient, request: CheckRequest) -> Result<CheckResponse, Status> {
    let mut authorization = AuthorizationClient::new(envoy.channel.clone());
    Ok(authorization.check(envoy.request(request)).await?.into_inner())
}

fn outcome(response: CheckResponse) -> Outcome {
    let code = response.status.unwrap_or_default().code;
    match response.http_response.unwrap() {
        HttpResponse::OkResponse(ok) => {
            assert_eq!(code, 0);
            let header = |option: envoy_types::pb::envoy::config::core::v3::HeaderValueOption| {
                let header = option.header.unwrap();
                assert_eq!(option.append_action, 2, "it takes the place of the one that was sent");
                (header.key, header.value)
            };
            Outcome::Pass(ok.headers.into_iter().map(header).collect(), ok.headers_to_remove)
        }
        HttpResponse::DeniedResponse(denied) => {
            assert_ne!(code, 0, "Envoy passes a request with the code OK");
            let challenge = denied.headers.into_iter().next().unwrap().header.unwrap();
            assert_eq!(challenge.key, "www-authenticate");
            Outcome::Deny(denied.status.unwrap().code, challenge.value)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_good_token_passes_with_its_claims_and_nothing_that_the_client_made_up() {
    let server = TestServer::start().await;
    let envoy = gateway(&server).await;
    let issue = v1::IssueTokenRequest { claims_json: r#"{"tenant":"acme"}"#.to_owned(), ..for_alice() };
    let token = accepted(server.root.issue(issue).await).access_token;
    let route = [("audience", "orders other"), ("scope", "read")];
    let response = accepted(ask(&envoy, request(&route, with_header(&format!("Bearer {token}")))).await);
    let metadata = response.dynamic_metadata.clone().unwrap().fields;
    assert!(format!("{:?}", metadata["tenant"]).contains("acme"), "{metadata:?}");
    let Outcome::Pass(headers, removed) = outcome(response) else { panic!("denied") };
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "x-auth-subject",
            "x-auth-client-id",
            "x-auth-scope",
            "x-auth-audience",
            "x-auth-issuer",
            "x-auth-token-id"
        ]
    );
    assert_eq!(headers[0].1, "alice");
    assert_eq!(removed, Vec::<String>::new());

    let issue = v1::IssueTokenRequest { scopes: Vec::new(), ..for_alice() };
    let token = accepted(server.root.issue(issue).await).access_token;
    // The other form in which Envoy sends headers.
    let header = HeaderValue {
        key: "Authorization".to_owned(),
        raw_value: format!("Bearer {token}").into_bytes(),
        ..Default::default()
    };
    let raw = HttpRequest { header_map: Some(HeaderMap { headers: vec![header] }), ..Default::default() };
    let answer = accepted(ask(&envoy, request(&[("audience", "orders")], raw)).await);
    let Outcome::Pass(_, removed) = outcome(answer) else { panic!("denied") };
    assert_eq!(removed, ["x-auth-scope"]);
}

#[tokio::test]
async fn a_bad_token_is_denied_with_its_reason() {
    let server = TestServer::start().await;
    let envoy = gateway(&server).await;
    let token = server.root.token().await;
    let ask = |route: &'static [(&str, &str)], http: HttpRequest| {
        let envoy = envoy.clone();
        async move { outcome(accepted(ask(&envoy, request(route, http)).await)) }
    };
    const ORDERS: &[(&str, &str)] = &[("audience", "orders")];
    let none = Outcome::Deny(401, "Bearer realm=\"tokend\"".to_owned());
    assert_eq!(ask(ORDERS, HttpRequest::default()).await, none);
    assert_eq!(ask(ORDERS, with_header("Basic eDp5")).await, none);
    for (http, reason) in [
        (with_header("Bearer a.b.c"), "TOKEN_MALFORMED"),
        (with_header(&format!("Bearer {token},Bearer {token}")), "TOKEN_MALFORMED"),
        (with_header(&format!("Bearer {token}x")), "TOKEN_"),
    ] {
        let Outcome::Deny(401, challenge) = ask(ORDERS, http).await else { panic!("{reason}") };
        let expected =
            format!("Bearer realm=\"tokend\", error=\"invalid_token\", error_description=\"{reason}");
        assert!(challenge.starts_with(&expected), "{challenge}");
    }
    let good = with_header(&format!("Bearer {token}"));
    let scope: &[(&str, &str)] = &[("audience", "orders"), ("scope", "read write")];
    let Outcome::Deny(403, challenge) = ask(scope, good.clone()).await else { panic!("no scope") };
    assert!(
        challenge.contains("error=\"insufficient_scope\"") && challenge.ends_with("scope=\"read write\"")
    );
    server.clock.advance(2 * 86_400);
    let Outcome::Deny(401, challenge) = ask(ORDERS, good).await else { panic!("expired") };
    assert!(challenge.contains("TOKEN_EXPIRED"), "{challenge}");
}

#[tokio::test]
async fn a_mistake_of_envoy_is_an_error_of_its_call() {
    let server = TestServer::start().await;
    let envoy = gateway(&server).await;
    let good = with_header(&format!("Bearer {}", server.root.token().await));
    // Envoy may verify for `orders` only.
    let answer = ask(&envoy, request(&[("audience", "billing")], good.clone())).await;
    assert_refused(answer, Code::PermissionDenied, "AUDIENCE_NOT_ALLOWED");
    let anonymous = TestClient { channel: envoy.channel.clone(), secret: None };
    let answer = ask(&anonymous, request(&[("audience", "orders")], good.clone())).await;
    assert_refused(answer, Code::Unauthenticated, "CREDENTIALS_MISSING");
    let other = client(&server, "other", v1::Permissions::default()).await;
    let answer = ask(&other, request(&[("audience", "orders")], good)).await;
    assert_refused(answer, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
    // Without attributes there is no token.
    let answer = outcome(accepted(ask(&envoy, CheckRequest { attributes: None }).await));
    assert_eq!(answer, Outcome::Deny(401, "Bearer realm=\"tokend\"".to_owned()));
}

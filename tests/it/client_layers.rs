//! A caller and a service with the layers of `tokend-client` between them: over gRPC and over HTTP.

use std::net::SocketAddr;

use axum::{Router, routing::get};
use tokend::{model::KeyState, proto::v1::revoke_token_request::Target};
use tokend_client::{Bearer, Claims, TokenSource, Verifier};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tonic::{
    Code, Request, Status,
    service::Routes,
    transport::{Channel, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::Layer as _;

use crate::{
    client_scene::{channel, offline, root, source, watching},
    harness::{TestServer, accepted, for_alice, refused},
    key_calls::{kid, revoke},
    revoke_calls,
};

const CHECK: &str = "/grpc.health.v1.Health/Check";

/// A service with a gRPC method and an HTTP resource, which both require the scope `read`; `/open` requires nothing.
async fn service(verifier: &Verifier) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let orders = get(|claims: Claims| async move { claims.subject().to_owned() });
    let admin = get(|claims: Claims| async move { claims.require_scope("admin") });
    let http = Router::new()
        .route("/orders", orders)
        .route("/admin", admin)
        .route("/open", get(|| async { "open" }))
        .layer(verifier.layer().require_scope("read").public_path("/open"));
    let (_, health) = tonic_health::server::health_reporter();
    let health = verifier.layer().require_scope_on(CHECK, "read").layer(health);
    let routes = Routes::from(http).add_service(health);
    let server = tonic::transport::Server::builder().accept_http1(true).add_routes(routes);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    addr
}

fn caller(source: &TokenSource, service: SocketAddr) -> HealthClient<Bearer<Channel>> {
    HealthClient::new(source.layer().layer(channel(service)))
}

/// A call with these `authorization` values.
async fn call(service: SocketAddr, values: &[&str]) -> Result<(), Status> {
    let mut request = Request::new(HealthCheckRequest::default());
    for value in values {
        request.metadata_mut().append("authorization", value.parse().unwrap());
    }
    HealthClient::new(channel(service)).check(request).await.map(|_| ())
}

/// `GET path` with these header lines: the status, the challenge, the body.
async fn fetch(service: SocketAddr, path: &str, headers: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(service).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let challenge = head.lines().find_map(|line| line.strip_prefix("www-authenticate: "));
    (status, challenge.unwrap_or_default().to_owned(), body.to_owned())
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn a_caller_with_a_source_reaches_a_service_with_a_verifier() {
    let server = TestServer::start().await;
    let service = service(&offline(&server).await).await;
    let source = source(&server, server.grpc, root(&server)).build().unwrap();
    let health = caller(&source, service).check(HealthCheckRequest::default()).await;
    accepted(health);
    let token = source.token().await.unwrap();
    let (status, _, body) = fetch(service, "/orders", &bearer(token.reveal())).await;
    assert_eq!((status, body.contains("root")), (200, true), "{body}");
}

#[tokio::test]
async fn a_request_that_is_not_authenticated_or_authorized_gets_the_status_of_its_protocol() {
    let server = TestServer::start().await;
    let service = service(&offline(&server).await).await;
    let issue = |change: fn(&mut tokend::proto::v1::IssueTokenRequest)| {
        let mut request = for_alice();
        change(&mut request);
        let root = &server.root;
        async move { accepted(root.issue(request).await).access_token }
    };
    let elsewhere = issue(|request| request.audiences = vec!["billing".to_owned()]).await;
    let unscoped = issue(|request| request.scopes.clear()).await;
    let good = issue(|_| {}).await;

    let said = |status: Status| (status.code(), status.message().to_owned());
    let (code, message) = said(refused(call(service, &[]).await));
    assert_eq!(code, Code::Unauthenticated, "{message}");
    let (code, message) = said(refused(call(service, &[&format!("Bearer {elsewhere}")]).await));
    assert!(code == Code::Unauthenticated && message.starts_with("TOKEN_AUDIENCE_MISMATCH"), "{message}");
    let (code, message) = said(refused(call(service, &[&format!("bearer {unscoped}")]).await));
    assert!(code == Code::PermissionDenied && message.ends_with("lacks the scope read"), "{message}");
    let twice = format!("Bearer {good}");
    assert_eq!(refused(call(service, &[&twice, &twice]).await).code(), Code::Unauthenticated);
    accepted(call(service, &[&twice]).await);

    for (headers, status, challenge) in [
        (String::new(), 401, "Bearer"),
        ("authorization: Basic YTpi\r\n".to_owned(), 401, "Bearer"),
        (
            bearer(&good) + &bearer(&good),
            400,
            r#"Bearer error="invalid_request", error_description="one authorization header is required""#,
        ),
        (
            bearer(&elsewhere),
            401,
            r#"Bearer error="invalid_token", error_description="the token is for other audiences""#,
        ),
        (
            bearer(&unscoped),
            403,
            r#"Bearer error="insufficient_scope", error_description="the token lacks a scope", scope="read""#,
        ),
        (bearer(&good), 200, ""),
    ] {
        let (answered, said, body) = fetch(service, "/orders", &headers).await;
        assert_eq!((answered, said.as_str()), (status, challenge), "{headers}");
        assert_eq!(body.contains("alice"), status == 200, "{body}");
    }
    let (status, challenge, _) = fetch(service, "/admin", &bearer(&good)).await;
    assert!(status == 403 && challenge.ends_with(r#"scope="admin""#), "{challenge}");
    let (status, _, body) = fetch(service, "/open", "").await;
    assert!(status == 200 && body.contains("open"));
    assert_eq!(fetch(service, "/open/", "").await.0, 401, "a path is compared exactly");
}

#[tokio::test]
async fn a_service_that_cannot_verify_says_that_it_is_unavailable() {
    let server = TestServer::start().await;
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let service = service(&watching(&server, nowhere).build().unwrap()).await;
    let token = server.root.token().await;
    assert_eq!(refused(call(service, &[&format!("Bearer {token}")]).await).code(), Code::Unavailable);
    let (status, challenge, _) = fetch(service, "/orders", &bearer(&token)).await;
    assert_eq!((status, challenge.as_str()), (503, ""));
}

#[tokio::test]
async fn a_call_without_a_token_says_why_tokend_issued_none() {
    let server = TestServer::start().await;
    let service = service(&offline(&server).await).await;
    let wrong = tokend_client::Credential::secret("tkd_root_wrong");
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (credential, tokend, code, text) in [
        (wrong, server.grpc, Code::Unauthenticated, "tokend issued no token: "),
        (root(&server), nowhere, Code::Unavailable, "tokend issued no token: "),
        (
            tokend_client::Credential::secret_file("/no/such/file"),
            nowhere,
            Code::Unavailable,
            "/no/such/file",
        ),
    ] {
        let source = source(&server, tokend, credential).build().unwrap();
        let status = refused(caller(&source, service).check(HealthCheckRequest::default()).await);
        assert!(status.code() == code && status.message().contains(text), "{status:?}");
    }
}

#[tokio::test]
async fn a_token_that_a_service_refuses_is_replaced() {
    let server = TestServer::start().await;
    let verifier = offline(&server).await;
    let service = service(&verifier).await;
    let source = source(&server, server.grpc, root(&server)).build().unwrap();
    let mut caller = caller(&source, service);
    accepted(caller.check(HealthCheckRequest::default()).await);
    let first = source.token().await.unwrap();
    accepted(revoke(&server, &kid(&server, KeyState::Active).await.unwrap()).await);
    while verifier.verify(first.reveal()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    // It was issued just now: a service that refuses everything must not make every call one of tokend's.
    assert_eq!(refused(caller.check(HealthCheckRequest::default()).await).code(), Code::Unauthenticated);
    assert_eq!(source.token().await.unwrap().reveal(), first.reveal());
    server.clock.advance(10);
    assert_eq!(refused(caller.check(HealthCheckRequest::default()).await).code(), Code::Unauthenticated);
    accepted(caller.check(HealthCheckRequest::default()).await);
}

#[tokio::test]
async fn a_revoked_token_does_not_reach_the_service() {
    let server = TestServer::start().await;
    let verifier = offline(&server).await;
    let service = service(&verifier).await;
    let begun = revoke_calls::begin(&server.root).await;
    let value = format!("Bearer {}", begun.access_token);
    accepted(call(service, &[&value]).await);
    accepted(revoke_calls::revoke(&server.root, Target::JwtId(begun.jwt_id)).await);
    while verifier.verify(&begun.access_token).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let status = refused(call(service, &[&value]).await);
    assert!(status.message().starts_with("TOKEN_REVOKED"), "{status:?}");
}

//! `/verify` for reverse proxies, and clients with certificates on the HTTP port.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokend::proto::v1;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use crate::{
    exchanges::{client, texts},
    harness::{TestClient, TestServer, accepted, for_alice},
    oauth::{Answer, FORM, send},
    tls_harness::{Files, Pair, TestAuthority, tls_server},
};

fn proxy(client: &TestClient) -> String {
    format!("x-tokend-authorization: Bearer {}\r\n", client.secret.as_ref().unwrap().reveal())
}

async fn verify(server: &TestServer, query: &str, headers: &str) -> Answer {
    send(server, &format!("GET /verify{query}"), headers, "").await
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

async fn gateway(server: &TestServer) -> TestClient {
    let permissions = v1::Permissions {
        methods: texts(&["TokenService/VerifyToken"]),
        verify_audiences: texts(&["orders"]),
        ..Default::default()
    };
    client(server, "gateway", permissions).await
}

#[tokio::test]
async fn a_proxy_learns_who_sends_a_request() {
    let server = TestServer::start().await;
    let gateway = proxy(&gateway(&server).await);
    let good = bearer(&server.root.token().await);
    // Headers of these names that the client sends have no effect.
    let spoofed = "x-auth-subject: admin\r\nx-auth-scope: all\r\n";
    let answer = verify(&server, "?audience=orders&scope=read", &format!("{gateway}{good}{spoofed}")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, Some("")), "{answer:?}");
    for line in [
        "x-auth-subject: alice\r\n",
        "x-auth-client-id: root\r\n",
        "x-auth-scope: read\r\n",
        "x-auth-audience: orders\r\n",
        "x-auth-issuer: https://tokend.test\r\n",
        "x-auth-token-id: ",
        "cache-control: no-store\r\n",
    ] {
        assert!(answer.headers.contains(line), "{line} in {answer:?}");
    }
    // A header without a value takes the place of the one that the client sent.
    let request = v1::IssueTokenRequest { scopes: Vec::new(), ..for_alice() };
    let without_scope = bearer(&accepted(server.root.issue(request).await).access_token);
    let answer = verify(&server, "?audience=orders", &format!("{gateway}{without_scope}{spoofed}")).await;
    assert!(answer.headers.contains("x-auth-scope: \r\n"), "{answer:?}");
}

#[tokio::test]
async fn claims_cannot_inject_headers() {
    let server = TestServer::start().await;
    let gateway = proxy(&gateway(&server).await);
    let request = v1::IssueTokenRequest { subject: " zoë %0d".to_owned(), ..for_alice() };
    let token = bearer(&accepted(server.root.issue(request).await).access_token);
    let answer = verify(&server, "?audience=orders", &format!("{gateway}{token}")).await;
    assert!(answer.headers.contains("x-auth-subject: %20zo%c3%ab%20%250d\r\n"), "{answer:?}");
}

#[tokio::test]
async fn a_rejected_token_is_answered_as_rfc_6750_says() {
    let server = TestServer::start().await;
    let gateway = proxy(&gateway(&server).await);
    let token = server.root.token().await;
    let challenge = |answer: &Answer, status: u16, text: &str| {
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(
            answer.headers.contains(&format!("www-authenticate: bearer realm=\"tokend\"{text}")),
            "{answer:?}"
        );
    };
    // Without a token, without an error (section 3.1).
    for headers in ["", "authorization: Basic eDp5\r\n", "authorization: Bearer \r\n"] {
        challenge(&verify(&server, "?audience=orders", &format!("{gateway}{headers}")).await, 401, "\r\n");
    }
    let invalid = ", error=\"invalid_token\", error_description=\"";
    for headers in [bearer("a.b.c"), bearer("x\"y"), format!("{0}{0}", bearer(&token))] {
        challenge(&verify(&server, "?audience=orders", &format!("{gateway}{headers}")).await, 401, invalid);
    }
    let headers = format!("{gateway}{}", bearer(&token));
    let scope = verify(&server, "?audience=orders&scope=read+write", &headers).await;
    challenge(&scope, 403, ", error=\"insufficient_scope\"");
    assert!(scope.headers.contains("scope=\"read write\""), "{scope:?}");
    server.clock.advance(2 * 86_400);
    challenge(
        &verify(&server, "?audience=orders", &headers).await,
        401,
        &format!("{invalid}token_expired: "),
    );
}

#[tokio::test]
async fn a_mistake_of_the_proxy_does_not_look_like_one_of_the_client() {
    let server = TestServer::start().await;
    let gateway = proxy(&gateway(&server).await);
    let token = bearer(&server.root.token().await);
    for (query, headers, status) in [
        ("?audience=orders", token.clone(), 500),
        ("?audience=orders", format!("{token}x-tokend-authorization: Bearer wrong\r\n"), 500),
        // No permission for this audience, and none for a method.
        ("?audience=billing", format!("{gateway}{token}"), 500),
        ("?audience=orders", format!("{gateway}{gateway}{token}"), 400),
        ("?audience=%", format!("{gateway}{token}"), 400),
        ("?scope=a&scope=b", format!("{gateway}{token}"), 400),
    ] {
        let answer = verify(&server, query, &headers).await;
        assert_eq!(answer.status, status, "{query} {answer:?}");
        assert!(
            !answer.headers.contains("x-auth-") && !answer.headers.contains("www-authenticate"),
            "{answer:?}"
        );
    }
    let long = format!("?audience={}", "a".repeat(8192));
    assert_eq!(verify(&server, &long, &format!("{gateway}{token}")).await.status, 414);
}

/// One request on the HTTP port, over TLS, with this certificate.
async fn over_tls(
    server: &TestServer,
    authority: &TestAuthority,
    pair: Option<&Pair>,
    request: &str,
) -> String {
    let mut config = authority.config(pair, &[&rustls::version::TLS13]);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = tokio::net::TcpStream::connect(server.http).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A server may close without `close_notify`.
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn a_client_with_a_certificate_gets_a_token_over_http() {
    let authority = TestAuthority::new();
    let files = Files::new(&authority);
    let server = tls_server(&authority, &files, |settings| settings.serving.http_tls = true).await;
    let web = v1::Client {
        client_id: "web".to_owned(),
        authentication: Some(v1::Authentication {
            methods: vec![v1::AuthenticationMethod::MutualTls.into()],
            certificate: Some(v1::CertificateNames {
                uris: texts(&["spiffe://example.org/web"]),
                dns_names: Vec::new(),
            }),
            ..Default::default()
        }),
        permissions: Some(v1::Permissions {
            methods: texts(&["TokenService/IssueToken"]),
            audiences: texts(&["orders"]),
            ..Default::default()
        }),
        ..Default::default()
    };
    let request = v1::CreateClientRequest { client: Some(web), ..Default::default() };
    accepted(server.root.clients().create_client(server.root.request(request)).await);

    let form = "grant_type=client_credentials&audience=orders&client_id=web";
    let request = format!(
        "POST /oauth2/token HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n{FORM}\r\n{form}",
        form.len()
    );
    let pair = authority.client("spiffe://example.org/web");
    let answer = over_tls(&server, &authority, Some(&pair), &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"access_token\":\""), "{answer}");
    // Probes have no certificate, and a client without one is not authenticated.
    let probe = "GET /livez HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    assert!(over_tls(&server, &authority, None, probe).await.starts_with("HTTP/1.1 200 "));
    let answer = over_tls(&server, &authority, None, &request).await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("\"invalid_client\""), "{answer}");
    let other = authority.client("spiffe://example.org/other");
    let answer = over_tls(&server, &authority, Some(&other), &request).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

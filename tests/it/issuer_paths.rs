//! Stories of an issuer with a path, of browsers, and of the requests for another issuer's keys.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::TestServer;

const ISSUER: &str = "https://example.com/auth";

async fn of_issuer(issuer: &str, jwks_uri: &str) -> TestServer {
    TestServer::with(|settings| {
        settings.discovery.issuer = issuer.to_owned();
        settings.discovery.jwks_uri = jwks_uri.to_owned();
    })
    .await
}

/// What `METHOD path` is answered with, as it is sent: status, and the head in lower case.
async fn asked(server: &TestServer, method: &str, path: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(server.http).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\norigin: https://app.example\r\nconnection: close\r\n\
         access-control-request-method: GET\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let head = answer.split_once("\r\n\r\n").unwrap().0.to_lowercase();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head)
}

#[tokio::test]
async fn an_issuer_with_a_path_is_discovered_where_clients_look() {
    let server = of_issuer(ISSUER, "https://example.com/auth/.well-known/jwks.json").await;
    for path in [
        "/auth/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/auth",
        "/auth/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration/auth",
        // Where a proxy takes the path away.
        "/.well-known/openid-configuration",
    ] {
        let (status, _, body) = server.get(path).await;
        assert_eq!(status, 200, "{path}");
        let document: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(document["issuer"], ISSUER);
        let keys = document["jwks_uri"].as_str().unwrap().strip_prefix("https://example.com").unwrap();
        let (status, headers, body) = server.get(keys).await;
        assert_eq!(status, 200, "{keys}");
        assert!(headers.contains("application/jwk-set+json") && body.contains("\"kid\""), "{headers}");
    }
    for path in
        ["/other/.well-known/openid-configuration", "/auth", "/auth/livez", "/auth/.well-known/jwks.json/"]
    {
        assert_eq!(server.get(path).await.0, 404, "{path}");
    }
    assert_eq!(asked(&server, "POST", "/auth/.well-known/openid-configuration").await.0, 405);
}

#[tokio::test]
async fn the_announced_set_is_there_whatever_its_path() {
    // Also one that a router would take for a pattern, or for a route of its own.
    for path in ["/keys", "/:a/*b", "/%7Ba%7D", "/livez"] {
        let server = of_issuer("https://example.com", &format!("https://example.com{path}")).await;
        let (status, _, body) = server.get(path).await;
        assert_eq!((status, body.contains("\"keys\"")), (200, path != "/livez"), "{path}");
    }
    let server = of_issuer("https://example.com", "https://cdn.example.com/keys").await;
    assert_eq!(server.get("/keys").await.0, 404);
}

#[tokio::test]
async fn a_page_of_any_origin_may_read_the_public_documents_and_nothing_else() {
    let server = of_issuer(ISSUER, "https://example.com/auth/.well-known/jwks.json").await;
    for path in [
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/auth/.well-known/openid-configuration",
        "/auth/.well-known/jwks.json",
    ] {
        let (status, head) = asked(&server, "OPTIONS", path).await;
        assert_eq!(status, 204, "{path}");
        assert!(head.contains("access-control-allow-origin: *\r\n"), "{head}");
        assert!(head.contains("access-control-allow-methods: get, head, options"), "{head}");
        for method in ["GET", "HEAD"] {
            let (status, head) = asked(&server, method, path).await;
            assert!(
                status == 200 && head.contains("access-control-allow-origin: *"),
                "{method} {path} {head}"
            );
        }
        let (status, headers, _) = server.get_with(path, "if-none-match: *\r\n").await;
        assert!(status == 304 && headers.contains("access-control-allow-origin: *"), "{headers}");
    }
    for (path, expected) in [("/livez", 405), ("/readyz", 405), ("/metrics", 405), ("/nowhere", 404)] {
        let (status, head) = asked(&server, "OPTIONS", path).await;
        assert_eq!(status, expected, "{path}");
        assert!(
            !head.contains("access-control")
                && !asked(&server, "GET", path).await.1.contains("access-control"),
            "{path}"
        );
    }
}

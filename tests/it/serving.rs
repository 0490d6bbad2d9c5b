//! The server as operators see it: health, documents, probes, metrics.

use tokend::proto::v1;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::harness::{ISSUER, TestServer, accepted, assert_refused, for_alice};

async fn health(server: &TestServer, service: &str) -> Result<ServingStatus, tonic::Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(server.root.channel.clone()).check(request).await?;
    Ok(answer.into_inner().status())
}

#[tokio::test]
async fn health_is_told_overall_and_for_each_service_without_a_credential() {
    let server = TestServer::start().await;
    for service in ["", "tokend.v1.TokenService", "tokend.v1.ClientService"] {
        assert_eq!(accepted(health(&server, service).await), ServingStatus::Serving, "{service}");
    }
    assert_refused(health(&server, "tokend.v1.Nothing").await, Code::NotFound, "SERVICE_UNKNOWN");
}

#[tokio::test]
async fn the_documents_are_public_cacheable_and_say_where_things_are() {
    let server = TestServer::with(|settings| settings.discovery.oauth = None).await;
    let (status, headers, jwks) = server.get("/.well-known/jwks.json").await;
    assert_eq!(status, 200);
    assert!(headers.contains("content-type: application/jwk-set+json"), "{headers}");
    assert!(headers.contains("cache-control: public, max-age=300"), "{headers}");
    let jwks: serde_json::Value = serde_json::from_str(&jwks).unwrap();
    let key = &jwks["keys"][0];
    assert_eq!(
        (&key["use"], &key["alg"], &key["kty"], &key["crv"]),
        (&"sig".into(), &"ES256".into(), &"EC".into(), &"P-256".into())
    );
    assert_eq!(key["kid"], accepted(server.root.issue(for_alice()).await).key_id);
    assert_eq!(key.get("d"), None, "the private half");

    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        let (status, headers, document) = server.get(path).await;
        assert_eq!(status, 200);
        assert!(headers.contains("content-type: application/json"), "{headers}");
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        let expected = serde_json::json!({
            "issuer": ISSUER, "jwks_uri": format!("{ISSUER}/.well-known/jwks.json"),
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        assert_eq!(document, expected);
    }
}

#[tokio::test]
async fn who_has_a_document_already_is_not_sent_it_again() {
    let server = TestServer::start().await;
    for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration"] {
        let (_, headers, body) = server.get(path).await;
        assert!(!body.is_empty());
        // Header names and values were lowered; the tag itself is needed as it is.
        assert!(headers.contains("\r\netag: \""), "{headers}");
        let etag = raw_etag(&server, path).await;
        for (sent, expected) in [
            (etag.clone(), 304),
            (format!("\"other\", {etag}"), 304),
            (format!("W/{etag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            (etag.trim_matches('"').to_owned(), 200),
        ] {
            let (status, headers, body) = server.get_with(path, &format!("if-none-match: {sent}\r\n")).await;
            assert_eq!(status, expected, "{sent}");
            assert_eq!(body.is_empty(), expected == 304);
            assert!(headers.contains("cache-control: public"), "{headers}");
        }
    }
}

async fn raw_etag(server: &TestServer, path: &str) -> String {
    let url = format!("http://{}{path}", server.http);
    let stream = tokio::net::TcpStream::connect(server.http).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(url).body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    answer.headers()["etag"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn probes_and_unknown_paths() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/livez").await.0, 200);
    assert_eq!(server.get("/readyz").await.0, 200);
    assert_eq!(server.get("/").await.0, 404);
    assert_eq!(server.get("/.well-known/jwks.json/").await.0, 404);
    assert_eq!(server.get(&format!("/{}", "x".repeat(20_000))).await.0, 431, "a head has an end");
}

#[tokio::test]
async fn metrics_count_calls_tokens_store_and_keys() {
    let server = TestServer::start().await;
    let token = server.root.token().await;
    accepted(server.root.check(&token).await);
    assert_refused(server.root.check("garbage").await, Code::InvalidArgument, "TOKEN_MALFORMED");
    let request = server.root.request(v1::ListClientsRequest::default());
    server.root.clients().list_clients(request).await.unwrap();
    let (status, headers, text) = server.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(headers.contains("content-type: text/plain; version=0.0.4"), "{headers}");
    let kid = server
        .store
        .keys()
        .await
        .unwrap()
        .active(tokend::model::Algorithm::Es256)
        .unwrap()
        .key_id
        .to_string();
    for line in [
        "tokend_tokens_issued_total{algorithm=\"ES256\"} 1",
        "tokend_tokens_verified_total{result=\"OK\"} 1",
        "tokend_tokens_verified_total{result=\"TOKEN_MALFORMED\"} 1",
        "tokend_tokens_verified_total{result=\"TOKEN_EXPIRED\"} 0",
        "grpc_server_handled_total{grpc_service=\"tokend.v1.TokenService\",grpc_method=\"IssueToken\",grpc_code=\"OK\"} 1",
        "grpc_server_handled_total{grpc_service=\"tokend.v1.TokenService\",grpc_method=\"VerifyToken\",grpc_code=\"INVALID_ARGUMENT\"} 1",
        "rpc_server_call_duration_seconds_count{grpc_service=\"tokend.v1.TokenService\",grpc_method=\"VerifyToken\",grpc_code=\"OK\"} 1",
        &format!("tokend_key_age_seconds{{key_id=\"{kid}\",algorithm=\"ES256\"}} 0"),
        &format!("tokend_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
    assert!(text.contains("tokend_store_action_duration_seconds_count{action=\"clients_page\"} 1"), "{text}");
}

//! Services that get tokens: with each credential, once for all callers, ahead of the expiry, and while tokend is away.

use std::fs;

use serde_json::json;
use tokend::{model::Algorithm, proto::v1};
use tokend_client::{AssertionKey, Credential, TokenError, TokenSource};

use crate::{
    caller_tokens::{by_assertion, public, register, unlimited},
    caller_workloads::{by_cluster, cluster_keys, pod, trusting, workload},
    client_scene::{Way, clock, root, source},
    harness::{ISSUER, TestServer, accepted, reason},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::made,
    tls_harness::{Files, TestAuthority, tls_server},
};

/// The reason for which tokend issues no token.
fn refused(result: Result<tokend_client::AccessToken, TokenError>) -> String {
    match result {
        Err(TokenError::Call(status)) => reason(&status),
        other => panic!("{other:?}"),
    }
}

async fn text(source: &TokenSource) -> String {
    source.token().await.unwrap().reveal().to_owned()
}

/// Asks until there is another token.
async fn until_replaced(source: &TokenSource, old: &str) {
    while text(source).await == old {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_token_is_kept_and_replaced_ahead_of_its_expiry() {
    let server = TestServer::start().await;
    let source = source(&server, server.grpc, root(&server)).build().unwrap();
    let first = text(&source).await;
    accepted(server.root.check(&first).await);
    server.clock.advance(419);
    assert_eq!(text(&source).await, first, "less than 70 % of ten minutes have passed");
    server.clock.advance(92);
    // The call that finds it old does not wait for the new one.
    assert_eq!(text(&source).await, first);
    until_replaced(&source, &first).await;
    server.clock.advance(89);
    accepted(server.root.check(&text(&source).await).await);
}

#[tokio::test]
async fn callers_at_once_share_one_call() {
    let server = TestServer::start().await;
    let source = source(&server, server.grpc, root(&server)).build().unwrap();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let source = source.clone();
            tokio::spawn(async move { text(&source).await })
        })
        .collect();
    let mut tokens = std::collections::BTreeSet::new();
    for caller in callers {
        tokens.insert(caller.await.unwrap());
    }
    assert_eq!(tokens.len(), 1);
}

#[tokio::test]
async fn a_good_token_is_used_while_tokend_is_away() {
    let server = TestServer::start().await;
    let way = Way::to(server.grpc).await;
    let source = source(&server, way.addr, root(&server)).build().unwrap();
    let first = text(&source).await;
    way.cut();
    server.clock.advance(569);
    assert_eq!(text(&source).await, first, "95 % have not passed");
    server.clock.advance(1);
    let error = loop {
        // The refresh in the background may still fail.
        if let Err(error) = source.token().await {
            break error;
        }
    };
    assert!(matches!(&error, TokenError::Call(_)), "{error}");
    way.mend();
    assert!(source.token().await.is_err(), "after a failure it is not tried again at once");
    server.clock.advance(10);
    assert_ne!(text(&source).await, first);
}

#[tokio::test]
async fn a_file_is_read_again_when_its_secret_was_replaced() {
    let server = TestServer::with(unlimited).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let source = source(&server, server.grpc, Credential::secret_file(&file)).build().unwrap();
    let error = source.token().await.unwrap_err();
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    fs::write(&file, "tkd_root_wrong\n").unwrap();
    server.clock.advance(10);
    assert_eq!(refused(source.token().await), "CREDENTIALS_INVALID");
    fs::write(&file, format!("{}\n", server.root.secret.as_ref().unwrap().reveal())).unwrap();
    server.clock.advance(10);
    let first = text(&source).await;

    // A new secret, and the old one is no good from now on.
    let request = v1::RotateClientSecretRequest {
        client_id: "root".to_owned(),
        overlap: crate::harness::seconds(0),
        ..Default::default()
    };
    let answer = server.root.clients().rotate_client_secret(server.root.request(request)).await;
    fs::write(&file, accepted(answer).into_inner().client_secret).unwrap();
    server.clock.advance(590);
    assert_ne!(text(&source).await, first);
}

#[tokio::test]
async fn a_client_signs_with_its_key() {
    let server = TestServer::with(unlimited).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client.key");
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
        let client_id = format!("by-{}", algorithm.name().to_lowercase());
        let key = made(algorithm);
        register(&server, &client_id, by_assertion(&[public(key, "k1")])).await;
        for form in [key.private_pem(), key.jwk.to_string()] {
            fs::write(&file, form).unwrap();
            let key = AssertionKey::file(&file, &client_id, ISSUER).key_id("k1").algorithm(algorithm);
            let source = source(&server, server.grpc, Credential::private_key_jwt(key)).build().unwrap();
            accepted(server.root.check(&text(&source).await).await);
            // An assertion is valid once: each call has its own.
            server.clock.advance(590);
            source.token().await.unwrap();
        }
    }
    fs::write(&file, "-----BEGIN PRIVATE KEY-----\nno key\n-----END PRIVATE KEY-----\n").unwrap();
    let key = AssertionKey::file(&file, "by-es256", ISSUER);
    let source = source(&server, server.grpc, Credential::private_key_jwt(key)).build().unwrap();
    assert!(matches!(source.token().await, Err(TokenError::Credential { .. })));
}

#[tokio::test]
async fn a_workload_presents_its_projected_token() {
    let issuer = JwksStandIn::start(Answer::Set(cluster_keys())).await;
    let server = TestServer::with(trusting(&issuer.uri())).await;
    register(&server, "web", workload(&[("/kubernetes.io/namespace", &["shop"])])).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, by_cluster(&pod())).unwrap();
    let source = source(&server, server.grpc, Credential::token_file(&file)).build().unwrap();
    accepted(server.root.check(&text(&source).await).await);
    // It has expired; the kubelet replaces the file.
    server.clock.advance(7200);
    let mut later = pod();
    later["exp"] = json!(crate::harness::START + 3 * 3600);
    fs::write(&file, by_cluster(&later)).unwrap();
    accepted(server.root.check(&text(&source).await).await);
}

#[tokio::test]
async fn a_client_is_known_by_the_certificate_of_its_connection() {
    const WEB: &str = "spiffe://example.org/web";
    let authority = TestAuthority::new();
    let files = Files::new(&authority);
    let server = tls_server(&authority, &files, |_| {}).await;
    let mut settings = crate::caller_tokens::by(&[tokend::model::AuthenticationMethod::MutualTls]);
    settings.authentication.certificate.uris = vec![WEB.to_owned()];
    register(&server, "web", settings).await;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("https://{}", server.grpc)).unwrap();
    for (pair, is_known) in [(Some(authority.client(WEB)), true), (None, false)] {
        let channel = endpoint.clone().tls_config(authority.trust(pair.as_ref())).unwrap().connect_lazy();
        let source = TokenSource::builder(channel, Credential::certificate()).audience("orders");
        let source = source.clock(clock(&server)).build().unwrap();
        if is_known {
            accepted(server.root.check(&text(&source).await).await);
        } else {
            assert_eq!(refused(source.token().await), "CREDENTIALS_MISSING");
        }
    }
}

#[test]
fn outside_of_a_runtime_there_is_an_error_and_no_panic() {
    let error = tokend_client::connect("http://127.0.0.1:1").unwrap_err();
    assert!(error.to_string().contains("Tokio runtime"), "{error}");
    for url in ["127.0.0.1:50051", "ftp://127.0.0.1", ""] {
        assert!(tokend_client::connect(url).unwrap_err().to_string().contains(url), "{url}");
    }
}

#[tokio::test]
async fn nothing_that_is_printed_has_a_secret_or_a_token() {
    let server = TestServer::start().await;
    let secret = server.root.secret.as_ref().unwrap().reveal();
    let source = source(&server, server.grpc, root(&server)).build().unwrap();
    let token = source.token().await.unwrap();
    let printed = format!("{:?} {source:?} {token:?} {:?}", root(&server), token.authorization());
    assert!(!printed.contains(secret) && !printed.contains(token.reveal()), "{printed}");
}

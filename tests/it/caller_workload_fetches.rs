//! Keys of trusted issuers: fetched in the background, whatever their servers do.

use std::{fs, sync::Arc, time::Duration};

use serde_json::json;
use tokend::{
    access::{KeySource, TrustedIssuerSettings},
    model::Algorithm,
};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    caller_tokens::{issue_by, public, register, unlimited},
    caller_workloads::{CLUSTER, by_cluster, cluster_keys, pod, trusting, workload},
    harness::{START, TestServer, accepted, assert_refused},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::{MadeKey, made, make, with},
};

const INVALID: &str = "CREDENTIALS_INVALID";

/// A server that trusts the stand-in, and knows one workload.
async fn server(stand_in: &JwksStandIn) -> TestServer {
    let trusting = trusting(&stand_in.uri());
    let server = TestServer::with(|settings| {
        trusting(settings);
        settings.caller_sources.refresh.timeout = Duration::from_millis(300);
    })
    .await;
    register(&server, "web", workload(&[("/kubernetes.io/namespace", &["shop"])])).await;
    server
}

fn set(keys: &[(&MadeKey, &str)]) -> Answer {
    let keys: Vec<_> = keys.iter().map(|(key, kid)| public(key, kid)).collect();
    Answer::Set(json!({"keys": keys}).to_string())
}

#[tokio::test]
async fn a_server_that_does_not_answer_well_takes_no_keys_away_for_a_while() {
    let redirect = JwksStandIn::start(Answer::Set(cluster_keys())).await;
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{}", " ".repeat(300_000));
    let bytes = |text: &str| Answer::Bytes(text.as_bytes().to_vec());
    let token = by_cluster(&with(&pod(), "exp", START + 86_400));
    let private = json!({"keys": [with(&made(Algorithm::Rs256).jwk, "kid", "cluster-1")]}).to_string();
    for (name, bad) in [
        ("down", Answer::Nothing),
        ("slow", Answer::Silence),
        ("huge", bytes(&huge)),
        ("endless", bytes(&format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(300_000)))),
        (
            "redirecting",
            bytes(&format!(
                "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
                redirect.uri()
            )),
        ),
        ("failing", bytes("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")),
        ("no HTTP", bytes("SSH-2.0-OpenSSH\r\n\r\n")),
        ("no JSON", Answer::Set("<html></html>".to_owned())),
        ("no set", Answer::Set("{}".to_owned())),
        ("empty", Answer::Set(r#"{"keys":[]}"#.to_owned())),
        ("of unknown kinds", Answer::Set(r#"{"keys":[{"kty":"XYZ","kid":"cluster-1"},7]}"#.to_owned())),
        ("private", Answer::Set(private)),
        ("cut off", bytes("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"keys\":")),
    ] {
        // From the start: a token cannot be checked, and so it is not refused.
        let stand_in = JwksStandIn::start(bad.clone()).await;
        let server = server(&stand_in).await;
        let answer = issue_by(&server, &token).await;
        assert!(answer.is_err(), "taken from a server that is {name}");
        assert_refused(answer, Code::Unavailable, "STATE_STALE");
        accepted(server.root.issue(crate::harness::for_alice()).await);
        // The keys come, and are used on when they cannot be had any more, up to their age.
        stand_in.answer(Answer::Set(cluster_keys()));
        server.clock.advance(30);
        server.rounds.make().await.unwrap();
        accepted(issue_by(&server, &token).await);
        stand_in.answer(bad);
        server.clock.advance(3599);
        server.rounds.make().await.unwrap();
        accepted(issue_by(&server, &token).await);
        server.clock.advance(1);
        assert_refused(issue_by(&server, &token).await, Code::Unavailable, "STATE_STALE");
    }
    assert_eq!(redirect.requests(), 0, "a redirect was followed");
}

#[tokio::test]
async fn rotated_keys_are_found_and_garbage_causes_no_flood_of_fetches() {
    let (old, new) = (made(Algorithm::Rs256), make(Algorithm::Es256));
    let stand_in = JwksStandIn::start(set(&[(old, "cluster-1")])).await;
    let server = Arc::new(server(&stand_in).await);
    server.rounds.make().await.unwrap();
    assert_eq!(stand_in.requests(), 1);
    // Unknown keys within the cool-down after a fetch cost none.
    assert_refused(issue_by(&server, &new.token("new", &pod())).await, Code::Unauthenticated, INVALID);
    assert_eq!(stand_in.requests(), 1);
    // Fifty at once that name the new key: one fetch for all, and each waits for it.
    stand_in.answer(set(&[(old, "cluster-1"), (&new, "new")]));
    server.clock.advance(30);
    stand_in.hold();
    let token = new.token("new", &pod());
    let mut crowd = JoinSet::new();
    for _ in 0..50 {
        let (server, token) = (Arc::clone(&server), token.clone());
        crowd.spawn(async move { issue_by(&server, &token).await });
    }
    while stand_in.requests() < 2 {
        tokio::task::yield_now().await;
    }
    stand_in.release();
    for answer in crowd.join_all().await {
        accepted(answer);
    }
    assert_eq!(stand_in.requests(), 2);
    accepted(issue_by(&server, &by_cluster(&pod())).await);
    // Garbage of any name: none for half a minute, then one.
    for number in 0..50 {
        let token = new.token(&format!("kid-{number}"), &pod());
        assert_refused(issue_by(&server, &token).await, Code::Unauthenticated, INVALID);
    }
    assert_eq!(stand_in.requests(), 2);
    server.clock.advance(30);
    for number in 0..50 {
        let token = new.token(&format!("kid-{number}"), &pod());
        assert_refused(issue_by(&server, &token).await, Code::Unauthenticated, INVALID);
    }
    assert_eq!(stand_in.requests(), 3);
    // The old key goes at the next interval, without a request.
    stand_in.answer(set(&[(&new, "new")]));
    server.clock.advance(299);
    server.rounds.make().await.unwrap();
    assert_eq!(stand_in.requests(), 3, "it is not due yet");
    server.clock.advance(1);
    server.rounds.make().await.unwrap();
    assert_eq!(stand_in.requests(), 4);
    assert_refused(issue_by(&server, &by_cluster(&pod())).await, Code::Unauthenticated, INVALID);
    accepted(issue_by(&server, &token).await);
}

#[tokio::test]
async fn keys_that_say_no_algorithm_are_for_those_that_the_operator_named() {
    let rs256 = made(Algorithm::Rs256);
    let bare =
        with(&with(&with(&public(rs256, "cluster-1"), "alg", json!(null)), "use", json!(null)), "x5t", "x");
    let encryption = json!({"kty": "RSA", "use": "enc", "kid": "enc", "n": bare["n"], "e": "AQAB"});
    let keys = json!({"keys": [encryption, bare, {"kty": "EC", "crv": "P-521", "kid": "x"}], "extra": 1});
    let stand_in = JwksStandIn::start(Answer::Set(keys.to_string())).await;
    let server = server(&stand_in).await;
    accepted(issue_by(&server, &by_cluster(&pod())).await);
    let ps256 = r#"{"alg":"PS256","kid":"cluster-1"}"#;
    let token = crate::caller_tokens::signed(rs256, Algorithm::Ps256, ps256, &pod().to_string());
    assert_refused(issue_by(&server, &token).await, Code::Unauthenticated, INVALID);
}

#[tokio::test]
async fn keys_may_be_in_a_file_and_a_fetch_may_want_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let (file, token_file) = (folder.path().join("keys.json"), folder.path().join("token"));
    fs::write(&token_file, "pod-token\n").unwrap();
    let stand_in = JwksStandIn::start(Answer::Set(cluster_keys())).await;
    let with_source = async |source: KeySource| {
        let server = TestServer::with(|settings| {
            unlimited(settings);
            settings.caller_sources.trusted_issuers.push(TrustedIssuerSettings {
                subject_prefix: None,
                token_types: Vec::new(),
                issuer: CLUSTER.to_owned(),
                source,
                algorithms: vec![Algorithm::Rs256],
            });
        })
        .await;
        register(&server, "web", workload(&[("level", &["3"])])).await;
        server
    };
    let uri = stand_in.uri().parse().unwrap();
    let server =
        with_source(KeySource::Uri { uri, ca_file: None, bearer_token_file: Some(token_file) }).await;
    accepted(issue_by(&server, &by_cluster(&pod())).await);
    let request = stand_in.last_request();
    assert!(request.contains("authorization: bearer pod-token\r\n"), "{request}");
    let version = env!("CARGO_PKG_VERSION");
    assert!(request.contains(&format!("user-agent: tokend/{version}\r\n")), "{request}");
    assert!(request.contains("accept-encoding: identity\r\n"), "{request}");
    let server = with_source(KeySource::File(file.clone())).await;
    assert_refused(issue_by(&server, &by_cluster(&pod())).await, Code::Unavailable, "STATE_STALE");
    fs::write(&file, cluster_keys()).unwrap();
    server.clock.advance(10);
    server.rounds.make().await.unwrap();
    accepted(issue_by(&server, &by_cluster(&pod())).await);
    let (_, _, metrics) = server.get("/metrics").await;
    assert!(
        metrics.contains(&format!(r#"tokend_issuer_keys_age_seconds{{issuer="{CLUSTER}"}} 0"#)),
        "{metrics}"
    );
    assert!(metrics.contains(&format!(r#"tokend_issuer_fetches_total{{issuer="{CLUSTER}",result="ok"}} 1"#)));
}

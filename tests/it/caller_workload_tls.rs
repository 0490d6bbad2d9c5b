//! Keys of trusted issuers over TLS: a server that cannot show whose it is gives none.

use std::fs;

use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use serde_json::json;
use tempfile::TempDir;
use tokend::{
    access::{KeySource, TrustedIssuerSettings},
    model::Algorithm,
};
use tonic::Code;

use crate::{
    caller_tokens::{issue_by, public, register, unlimited},
    caller_workloads::{CLUSTER, by_cluster, cluster_keys, pod, workload},
    harness::{TestServer, accepted, assert_refused},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::{made, make},
    tls_harness::{Pair, TestAuthority},
};

const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

/// An issuer over TLS, and a server that trusts it by `authority`, whose file is in the folder.
async fn story(authority: &TestAuthority, pair: &Pair) -> (TestServer, JwksStandIn, TempDir) {
    let issuer = JwksStandIn::start(Answer::Set(cluster_keys())).await;
    issuer.certificate(pair);
    let uri = issuer.uri().parse().unwrap();
    let folder = TempDir::new().unwrap();
    let ca_file = folder.path().join("ca.crt");
    fs::write(&ca_file, &authority.pem).unwrap();
    let server = TestServer::with(|settings| {
        unlimited(settings);
        settings.caller_sources.trusted_issuers.push(TrustedIssuerSettings {
            subject_prefix: None,
            token_types: Vec::new(),
            issuer: CLUSTER.to_owned(),
            source: KeySource::Uri { uri, ca_file: Some(ca_file), bearer_token_file: None },
            algorithms: vec![Algorithm::Rs256, Algorithm::Es256],
        });
    })
    .await;
    register(&server, "web", workload(&[("level", &["3"])])).await;
    (server, issuer, folder)
}

/// Certificates that are not the issuer's.
fn wrong(authority: &TestAuthority, stranger: &TestAuthority) -> Vec<(&'static str, Pair)> {
    vec![
        ("of a wrong authority", stranger.server()),
        ("of another host", authority.server_with(&["elsewhere.test", "127.0.0.2"], |_| {})),
        ("of no host", authority.server_with(&[], |_| {})),
        ("expired", authority.server_with(&HERE, |params| params.not_after = date_time_ymd(2020, 1, 1))),
        (
            "a client's",
            authority.server_with(&HERE, |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
        ),
    ]
}

#[tokio::test]
async fn a_server_with_a_wrong_certificate_is_not_asked_and_the_old_keys_stay() {
    let (authority, stranger) = (TestAuthority::new(), TestAuthority::new());
    let (server, issuer, _folder) = story(&authority, &authority.server()).await;
    accepted(issue_by(&server, &by_cluster(&pod())).await);
    assert_eq!(issuer.requests(), 1);
    let new = make(Algorithm::Es256);
    let keys = [public(made(Algorithm::Rs256), "cluster-1"), public(&new, "new")];
    issuer.answer(Answer::Set(json!({ "keys": keys }).to_string()));
    let mut failed = 0;
    for (name, pair) in wrong(&authority, &stranger) {
        issuer.certificate(&pair);
        server.clock.advance(300);
        server.rounds.make().await.unwrap();
        assert_eq!(issuer.requests(), 1, "asked with a certificate that is {name}");
        let answer = issue_by(&server, &new.token("new", &pod())).await;
        assert_refused(answer, Code::Unauthenticated, "CREDENTIALS_INVALID");
        accepted(issue_by(&server, &by_cluster(&pod())).await);
        failed += 1;
        let (_, _, metrics) = server.get("/metrics").await;
        let line = format!(r#"tokend_issuer_fetches_total{{issuer="{CLUSTER}",result="failed"}} {failed}"#);
        assert!(metrics.contains(&line), "{name}: {metrics}");
    }
    issuer.certificate(&authority.server());
    server.clock.advance(300);
    server.rounds.make().await.unwrap();
    assert_eq!(issuer.requests(), 2);
    accepted(issue_by(&server, &new.token("new", &pod())).await);
    accepted(issue_by(&server, &by_cluster(&pod())).await);
}

#[tokio::test]
async fn from_such_a_server_there_are_no_keys_to_begin_with() {
    let (authority, stranger) = (TestAuthority::new(), TestAuthority::new());
    for (name, pair) in wrong(&authority, &stranger) {
        let (server, issuer, _folder) = story(&authority, &pair).await;
        let answer = issue_by(&server, &by_cluster(&pod())).await;
        assert!(answer.is_err(), "taken from a server whose certificate is {name}");
        assert_refused(answer, Code::Unavailable, "STATE_STALE");
        assert_eq!(issuer.requests(), 0);
        issuer.certificate(&authority.server());
        server.clock.advance(30);
        server.rounds.make().await.unwrap();
        accepted(issue_by(&server, &by_cluster(&pod())).await);
    }
}

//! Workloads: tokens of trusted issuers, and for whom they stand.

use serde_json::{Value, json};
use tokend::{
    access::{KeySource, TrustedIssuerSettings},
    model::{Algorithm, AuthenticationMethod, ClaimCondition, ClientSettings, Pattern, WorkloadIdentity},
    server::Settings,
};
use tonic::Code;

use crate::{
    caller_tokens::{by, issue_by, public, register, signed, unlimited},
    harness::{ISSUER, START, TestServer, accepted, assert_refused},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::{made, make, token, with},
};

const INVALID: &str = "CREDENTIALS_INVALID";
pub const CLUSTER: &str = "https://kubernetes.default.svc";

/// Trusts the issuer `CLUSTER`, whose keys are at this place.
pub fn trusting(uri: &str) -> impl FnOnce(&mut Settings) + use<> {
    let uri = uri.parse().unwrap();
    move |settings| {
        unlimited(settings);
        settings.caller_sources.trusted_issuers.push(TrustedIssuerSettings {
            subject_prefix: None,
            token_types: Vec::new(),
            issuer: CLUSTER.to_owned(),
            source: KeySource::Uri { uri, ca_file: None, bearer_token_file: None },
            algorithms: vec![Algorithm::Rs256, Algorithm::Es256],
        });
    }
}

/// A client for which tokens of the cluster stand that meet these conditions.
pub fn workload(conditions: &[(&str, &[&str])]) -> ClientSettings {
    let condition = |(claim, values): &(&str, &[&str])| ClaimCondition {
        claim: (*claim).to_owned(),
        values: values.iter().map(|&value| Pattern::parse(value).unwrap()).collect(),
    };
    let mut settings = by(&[AuthenticationMethod::WorkloadIdentity]);
    settings.authentication.workload_identities.push(WorkloadIdentity {
        issuer: CLUSTER.to_owned(),
        audience: "tokend".to_owned(),
        conditions: conditions.iter().map(condition).collect(),
    });
    settings
}

/// What a service account's token claims, as Kubernetes writes it.
pub fn pod() -> Value {
    json!({
        "iss": CLUSTER, "aud": ["tokend"], "exp": START + 3600, "iat": START, "nbf": START,
        "sub": "system:serviceaccount:shop:web",
        "kubernetes.io": {
            "namespace": "shop",
            "pod": {"name": "web-6d5f", "uid": "a/b~c"},
            "serviceaccount": {"name": "web", "uid": "1"},
        },
        "level": 3, "verified": true, "groups": ["shop"],
    })
}

/// Kubernetes' header: no `typ`.
const HEADER: &str = r#"{"alg":"RS256","kid":"cluster-1"}"#;

pub fn by_cluster(payload: &Value) -> String {
    signed(made(Algorithm::Rs256), Algorithm::Rs256, HEADER, &payload.to_string())
}

/// The cluster's keys, as Kubernetes publishes them.
pub fn cluster_keys() -> String {
    json!({"keys": [public(made(Algorithm::Rs256), "cluster-1")]}).to_string()
}

async fn server() -> (TestServer, JwksStandIn) {
    let stand_in = JwksStandIn::start(Answer::Set(cluster_keys())).await;
    let server = TestServer::with(trusting(&stand_in.uri())).await;
    (server, stand_in)
}

#[tokio::test]
async fn a_workloads_token_stands_for_its_client() {
    let (server, _stand_in) = server().await;
    register(&server, "web", workload(&[("sub", &["system:serviceaccount:shop:web"])])).await;
    let answer = accepted(issue_by(&server, &by_cluster(&pod())).await);
    assert_eq!(answer.token_type, "Bearer");
    // Unlike an assertion, such a token is good until it ends.
    accepted(issue_by(&server, &by_cluster(&pod())).await);
    server.clock.advance(3609);
    accepted(issue_by(&server, &by_cluster(&pod())).await);
    server.clock.advance(1);
    assert_refused(issue_by(&server, &by_cluster(&pod())).await, Code::Unauthenticated, INVALID);
}

#[tokio::test]
async fn all_conditions_must_be_met() {
    let (server, _stand_in) = server().await;
    let token = by_cluster(&pod());
    for good in [
        &[("sub", &["system:serviceaccount:shop:*"][..])][..],
        &[("/kubernetes.io/namespace", &["other", "shop"])],
        &[("/kubernetes.io/pod/uid", &["a/b~c"]), ("/kubernetes.io/serviceaccount/name", &["web"])],
        &[("level", &["3"]), ("verified", &["true"])],
        &[("/groups/0", &["shop"])],
    ] {
        register(&server, "web", workload(good)).await;
        accepted(issue_by(&server, &token).await);
    }
    for bad in [
        &[][..],
        &[("sub", &["system:serviceaccount:shop"][..])][..],
        &[("sub", &["system:serviceaccount:shop:web"]), ("level", &["4"])],
        &[("level", &["3.0"])],
        &[("verified", &["True"])],
        &[("groups", &["*"])],
        &[("kubernetes.io", &["*"])],
        &[("/kubernetes.io/pod", &["*"])],
        &[("absent", &["*"])],
        &[("/absent/claim", &["*"])],
        &[("kubernetes.io/namespace", &["shop"])],
        &[("/", &["*"])],
    ] {
        register(&server, "web", workload(bad)).await;
        let answer = issue_by(&server, &token).await;
        assert!(answer.is_err(), "taken with {bad:?}");
        assert_refused(answer, Code::Unauthenticated, INVALID);
    }
}

#[tokio::test]
async fn a_token_that_could_stand_for_two_stands_for_none() {
    let (server, _stand_in) = server().await;
    let web = || workload(&[("/kubernetes.io/namespace", &["shop"])]);
    register(&server, "web", web()).await;
    accepted(issue_by(&server, &by_cluster(&pod())).await);
    // Not even if the other one is disabled, or might not use it.
    register(&server, "other", ClientSettings { disabled: true, ..workload(&[("level", &["3"])]) }).await;
    assert_refused(issue_by(&server, &by_cluster(&pod())).await, Code::Unauthenticated, INVALID);
    register(&server, "other", workload(&[("level", &["4"])])).await;
    accepted(issue_by(&server, &by_cluster(&pod())).await);
    // Twice the same client is that client.
    let mut twice = web();
    twice.authentication.workload_identities.extend(web().authentication.workload_identities);
    register(&server, "web", twice).await;
    accepted(issue_by(&server, &by_cluster(&pod())).await);
    register(&server, "web", ClientSettings { disabled: true, ..web() }).await;
    assert_refused(issue_by(&server, &by_cluster(&pod())).await, Code::Unauthenticated, INVALID);
    let mut downgraded = web();
    downgraded.authentication.methods = vec![AuthenticationMethod::ClientSecret];
    register(&server, "web", downgraded).await;
    assert_refused(issue_by(&server, &by_cluster(&pod())).await, Code::Unauthenticated, INVALID);
}

#[tokio::test]
async fn every_other_token_is_refused_in_the_same_words() {
    let (server, stand_in) = server().await;
    register(&server, "web", workload(&[("/kubernetes.io/namespace", &["shop"])])).await;
    let rs256 = made(Algorithm::Rs256);
    let head = |algorithm: Algorithm, header: &str| signed(rs256, algorithm, header, &pod().to_string());
    let said = |name: &str, value: Value| (format!("{name}={value}"), by_cluster(&with(&pod(), name, value)));
    let named = |name: &str, token: String| (name.to_owned(), token);
    let tokens = [
        said("iss", json!("https://elsewhere.test")),
        said("iss", json!(format!("{CLUSTER}/"))),
        said("iss", json!(ISSUER)),
        said("iss", Value::Null),
        said("aud", json!(["orders"])),
        said("aud", json!("tokend/")),
        said("aud", Value::Null),
        said("exp", json!(START - 10)),
        said("exp", Value::Null),
        said("nbf", json!(START + 11)),
        said("iat", json!(START + 11)),
        said("sub", json!(7)),
        named("an unknown kid", head(Algorithm::Rs256, r#"{"alg":"RS256","kid":"cluster-2"}"#)),
        named("another key", make(Algorithm::Es256).token("cluster-1", &pod())),
        named(
            "an algorithm that is not taken",
            head(Algorithm::Ps256, r#"{"alg":"PS256","kid":"cluster-1"}"#),
        ),
        named("alg says another", head(Algorithm::Rs256, r#"{"alg":"ES256","kid":"cluster-1"}"#)),
        named("crit", head(Algorithm::Rs256, r#"{"alg":"RS256","kid":"cluster-1","crit":["a"],"a":1}"#)),
        named("another type", head(Algorithm::Rs256, r#"{"alg":"RS256","kid":"cluster-1","typ":"id+jwt"}"#)),
        named(
            "HMAC with the public key",
            token(Algorithm::Hs256, rs256.public_pem().as_bytes(), "cluster-1", &pod()),
        ),
        named("a broken signature", by_cluster(&pod()).replacen(".ey", ".eyA", 1)),
    ];
    let mut answers = Vec::new();
    for (name, token) in tokens {
        let answer = issue_by(&server, &token).await;
        assert!(answer.is_err(), "taken: {name}");
        let status = assert_refused(answer, Code::Unauthenticated, INVALID);
        answers.push((status.message().to_owned(), status.details().to_vec()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "what is wrong can be told apart: {answers:?}");
    // Whatever they named: the one place was asked once, and nothing else could have been.
    assert_eq!(stand_in.requests(), 1);
    accepted(issue_by(&server, &by_cluster(&pod())).await);
}

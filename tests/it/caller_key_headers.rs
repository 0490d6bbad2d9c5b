//! Tokens that bring a key, or say where one might be found: that is never looked at, in assertions and in workloads' tokens.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use tokend::model::Algorithm;
use tonic::Code;

use crate::{
    caller_tokens::{by_assertion, claims, issue_by, public, register, signed},
    caller_workloads::{cluster_keys, pod, trusting, workload},
    harness::{TestServer, accepted, assert_refused},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::{MadeKey, made, make, with},
};

/// Headers that offer the key of `stranger`, whose JWK set is at `place`.
fn offers(stranger: &MadeKey, place: &str) -> Vec<(&'static str, Value)> {
    let jwk = || public(stranger, "k1");
    let pair =
        KeyPair::from_pkcs8_der_and_sign_algo(&stranger.pkcs8.as_slice().into(), &PKCS_ECDSA_P256_SHA256);
    let certificate = CertificateParams::default().self_signed(&pair.unwrap()).unwrap();
    vec![
        ("jwk", json!({ "jwk": jwk() })),
        ("x5c", json!({ "x5c": [STANDARD.encode(certificate.der())] })),
        ("jku", json!({ "jku": place })),
        ("x5u", json!({ "x5u": place })),
        ("all", json!({ "jwk": jwk(), "jku": place, "x5u": place, "jwks": {"keys": [jwk()]} })),
    ]
}

/// A header of a token by an ES256 key of this id, or of none, with `more` in it.
fn header(kid: Option<&str>, more: &Value) -> String {
    let mut header = with(&json!({"alg": "ES256"}), "kid", kid);
    header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    header.to_string()
}

/// Presents, by `present`, tokens of a stranger that bring the stranger's key; and ones that are good, and bring it too.
async fn offered_keys_are_not_heeded(
    server: &TestServer,
    present: impl Fn(&MadeKey, &str, u32) -> String,
    other_kid: &str,
) {
    let stranger = make(Algorithm::Es256);
    let set = json!({"keys": [public(&stranger, "k1")]}).to_string();
    let trap = JwksStandIn::start(Answer::Set(set)).await;
    let mut number = 0;
    for (name, offer) in offers(&stranger, &trap.uri()) {
        for kid in [Some("k1"), Some(other_kid), Some("stranger"), None] {
            number += 2;
            let bad = present(&stranger, &header(kid, &offer), number);
            let answer = issue_by(server, &bad).await;
            assert!(answer.is_err(), "taken: {name} under {kid:?}");
            assert_refused(answer, Code::Unauthenticated, "CREDENTIALS_INVALID");
            let good = present(made(Algorithm::Es256), &header(Some("k1"), &offer), number + 1);
            accepted(issue_by(server, &good).await);
        }
    }
    assert_eq!(trap.requests(), 0, "a place that a token names was looked at");
}

#[tokio::test]
async fn an_assertion_cannot_bring_its_key() {
    let server = TestServer::with(crate::caller_tokens::unlimited).await;
    let keys = [public(made(Algorithm::Es256), "k1"), public(made(Algorithm::Rs256), "k2")];
    register(&server, "web", by_assertion(&keys)).await;
    let present = |key: &MadeKey, header: &str, number: u32| {
        let claims = claims("web", &format!("offer-{number}"));
        signed(key, Algorithm::Es256, header, &claims.to_string())
    };
    offered_keys_are_not_heeded(&server, present, "k2").await;
}

#[tokio::test]
async fn a_workloads_token_cannot_bring_its_key() {
    let keys =
        json!({"keys": [public(made(Algorithm::Es256), "k1"), public(made(Algorithm::Rs256), "cluster-1")]});
    assert_ne!(keys.to_string(), cluster_keys());
    let issuer = JwksStandIn::start(Answer::Set(keys.to_string())).await;
    let server = TestServer::with(trusting(&issuer.uri())).await;
    register(&server, "web", workload(&[("level", &["3"])])).await;
    let present = |key: &MadeKey, header: &str, _| signed(key, Algorithm::Es256, header, &pod().to_string());
    offered_keys_are_not_heeded(&server, present, "cluster-1").await;
}

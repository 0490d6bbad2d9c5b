//! Clients that sign assertions (private_key_jwt): what is taken, and what is not.

use std::{fs, sync::atomic::Ordering::SeqCst};

use serde_json::{Value, json};
use tokend::model::{Algorithm, AssertionKeys};
use tonic::Code;

use crate::{
    caller_tokens::{by_assertion, claims, issue_by, public, register, signed, unlimited},
    counting_store::CountingStore,
    forge::{Forge, b64},
    harness::{ISSUER, START, START_SECONDS, TestServer, accepted, assert_refused, settings},
    made_keys::{asymmetric, made, make, token, with},
};

const INVALID: &str = "CREDENTIALS_INVALID";

/// A server that knows the client `web` by an ES256 key `k1` and an RS256 key `k2`.
async fn server() -> TestServer {
    let server = TestServer::with(unlimited).await;
    let keys = [public(made(Algorithm::Es256), "k1"), public(made(Algorithm::Rs256), "k2")];
    register(&server, "web", by_assertion(&keys)).await;
    server
}

/// An assertion of `web`, with these claims.
fn assertion(claims: &Value) -> String {
    made(Algorithm::Es256).token("k1", claims)
}

#[tokio::test]
async fn an_assertion_by_each_algorithm_opens_the_door() {
    let server = TestServer::with(unlimited).await;
    for algorithm in asymmetric() {
        let client_id = format!("by-{}", algorithm.name().to_lowercase());
        register(&server, &client_id, by_assertion(&[public(made(algorithm), "k")])).await;
        let token = made(algorithm).token("k", &claims(&client_id, "first"));
        let answer = accepted(issue_by(&server, &token).await);
        assert_eq!(answer.token_type, "Bearer");
        assert_refused(issue_by(&server, &token).await, Code::Unauthenticated, INVALID);
    }
}

#[tokio::test]
async fn what_may_be_left_out_or_said_otherwise() {
    let server = server().await;
    let claims = |number: u32| claims("web", &format!("jti-{number}"));
    let key = made(Algorithm::Es256);
    for (number, header) in [
        r#"{"alg":"ES256","kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k1","typ":"jwt"}"#,
        r#"{"alg":"ES256","kid":"k1","typ":"application/JWT"}"#,
        r#"{"alg":"ES256","kid":"k1","typ":"client-authentication+jwt"}"#,
        // Where a key might be found is not even read.
        r#"{"alg":"ES256","kid":"k1","jku":"http://127.0.0.1:1/","x5u":"http://127.0.0.1:1/"}"#,
    ]
    .into_iter()
    .enumerate()
    {
        let payload = claims(u32::try_from(number).unwrap()).to_string();
        accepted(issue_by(&server, &signed(key, Algorithm::Es256, header, &payload)).await);
    }
    for (number, (name, value)) in [
        ("aud", json!([ISSUER])),
        ("iat", Value::Null),
        ("nbf", json!(START + 10)),
        ("exp", json!(START - 9)),
        ("exp", json!(START + 310)),
        ("exp", json!(START_SECONDS + 30.5)),
        ("scope", json!("whatever")),
        ("nested", json!({"a": [1, 2]})),
    ]
    .into_iter()
    .enumerate()
    {
        let claims = with(&claims(100 + u32::try_from(number).unwrap()), name, value);
        accepted(issue_by(&server, &assertion(&claims)).await);
    }
    // A single key needs no name.
    register(&server, "single", by_assertion(std::slice::from_ref(&key.public_jwk))).await;
    let payload = crate::caller_tokens::claims("single", "a").to_string();
    accepted(issue_by(&server, &signed(key, Algorithm::Es256, r#"{"alg":"ES256"}"#, &payload)).await);
}

#[tokio::test]
async fn every_other_assertion_is_refused_in_the_same_words() {
    let server = server().await;
    let (es256, rs256) = (made(Algorithm::Es256), made(Algorithm::Rs256));
    let good = claims("web", "good");
    let head = |header: &str| signed(es256, Algorithm::Es256, header, &good.to_string());
    let said = |name: &str, value: Value| (format!("{name}={value}"), assertion(&with(&good, name, value)));
    let named = |name: &str, token: String| (name.to_owned(), token);
    let other = make(Algorithm::Es256);
    let public_pem = es256.public_pem();
    let mut tokens = vec![
        said("iss", json!("nobody")),
        said("iss", json!("root")),
        said("iss", Value::Null),
        said("iss", json!(["web"])),
        said("sub", json!("root")),
        said("sub", Value::Null),
        said("aud", json!("https://elsewhere.test")),
        said("aud", json!(format!("{ISSUER}/"))),
        said("aud", json!([ISSUER, "https://elsewhere.test"])),
        said("aud", json!([])),
        said("aud", Value::Null),
        said("exp", Value::Null),
        said("exp", json!("soon")),
        said("exp", json!(START - 10)),
        said("exp", json!(START + 311)),
        said("exp", json!(i64::MAX)),
        said("nbf", json!(START + 11)),
        said("iat", json!(START + 11)),
        said("jti", Value::Null),
        said("jti", json!("")),
        said("jti", json!(7)),
        said("jti", json!("x".repeat(257))),
        named("another key under its id", other.token("k1", &good)),
        named("no such key", es256.token("k3", &good)),
        named("the id of another key", es256.token("k2", &good)),
        named("no id, and no key for the algorithm", head(r#"{"alg":"ES384","typ":"JWT"}"#)),
        named(
            "the key's algorithm is another",
            signed(rs256, Algorithm::Rs512, r#"{"alg":"RS512","kid":"k2"}"#, &good.to_string()),
        ),
        named(
            "alg says another",
            signed(rs256, Algorithm::Rs256, r#"{"alg":"PS256","kid":"k2"}"#, &good.to_string()),
        ),
        named("none", format!("{}.{}.", b64(r#"{"alg":"none","kid":"k1"}"#), b64(good.to_string()))),
        named("HMAC with the public key as PEM", token(Algorithm::Hs256, public_pem.as_bytes(), "k1", &good)),
        named("HMAC with the public key as DER", token(Algorithm::Hs256, &es256.spki, "k1", &good)),
        named(
            "HMAC with the JWK",
            token(Algorithm::Hs256, public(es256, "k1").to_string().as_bytes(), "k1", &good),
        ),
        named("crit", head(r#"{"alg":"ES256","kid":"k1","crit":["exp"],"exp":1}"#)),
        named("b64", head(r#"{"alg":"ES256","kid":"k1","b64":false}"#)),
        named("an access token's type", head(r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#)),
        named("an unknown type", head(r#"{"alg":"ES256","kid":"k1","typ":"logout+jwt"}"#)),
        named("kid is a number", head(r#"{"alg":"ES256","kid":1}"#)),
        named("a header member twice", head(r#"{"alg":"ES256","kid":"k1","kid":"k1"}"#)),
        named(
            "a claim twice",
            signed(
                es256,
                Algorithm::Es256,
                r#"{"alg":"ES256","kid":"k1"}"#,
                &good.to_string().replacen('{', r#"{"sub":"web","#, 1),
            ),
        ),
        named("no JSON", signed(es256, Algorithm::Es256, r#"{"alg":"ES256","kid":"k1"}"#, "web")),
        named("oversized", assertion(&with(&good, "extra", "x".repeat(8192)))),
        named("unsigned", assertion(&good).rsplit_once('.').unwrap().0.to_owned() + "."),
        named("padded", assertion(&good) + "="),
    ];
    // A token of this very server, even one for itself, is no credential of a client.
    let forge = Forge::of(&server.store).await;
    tokens.push(named(
        "a token of this server",
        forge.sign(Algorithm::Es256, forge.header(Algorithm::Es256), with(&good, "iss", ISSUER).to_string()),
    ));
    let mut answers = Vec::new();
    for (name, token) in tokens {
        let answer = issue_by(&server, &token).await;
        assert!(answer.is_err(), "taken: {name}");
        let status = assert_refused(answer, Code::Unauthenticated, INVALID);
        answers.push((status.message().to_owned(), status.details().to_vec()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "what is wrong can be told apart: {answers:?}");
    // None of them has used the assertion up.
    accepted(issue_by(&server, &assertion(&good)).await);
}

#[tokio::test]
async fn what_the_store_cannot_say_is_neither_yes_nor_no() {
    let mut settings = settings();
    unlimited(&mut settings);
    let (server, store) = CountingStore::serve(settings).await;
    register(&server, "web", by_assertion(&[public(made(Algorithm::Es256), "k1")])).await;
    let token = assertion(&claims("web", "a"));
    assert_refused(issue_by(&server, &format!("{token}A")).await, Code::Unauthenticated, INVALID);
    assert_eq!(store.assertion_uses.load(SeqCst), 0, "a bad assertion is not remembered");
    store.set_down(true);
    assert_refused(issue_by(&server, &token).await, Code::Unavailable, "STORE_UNAVAILABLE");
    store.set_down(false);
    accepted(issue_by(&server, &token).await);
}

#[tokio::test]
async fn keys_in_a_file_follow_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::with(|settings| {
        unlimited(settings);
        settings.caller_sources.jwks_dir = Some(folder.path().to_owned());
    })
    .await;
    let mut client = by_assertion(&[]);
    client.authentication.assertion_keys = Some(AssertionKeys::JwksFile("web.json".to_owned()));
    register(&server, "web", client).await;
    let (old, new) = (make(Algorithm::Es256), make(Algorithm::Es256));
    let by = |key: &crate::made_keys::MadeKey, jwt_id: &str| key.token("k", &claims("web", jwt_id));
    let write = |text: String| fs::write(folder.path().join("web.json"), text).unwrap();
    assert_refused(issue_by(&server, &by(&old, "1")).await, Code::Unauthenticated, INVALID);
    write(json!({"keys": [public(&old, "k")]}).to_string());
    server.rounds.make().await.unwrap();
    accepted(issue_by(&server, &by(&old, "2")).await);
    // A private key in the file makes it invalid, and the keys stay.
    write(json!({"keys": [with(&new.jwk, "kid", "k")]}).to_string());
    server.rounds.make().await.unwrap();
    accepted(issue_by(&server, &by(&old, "3")).await);
    write(json!({"keys": [public(&new, "k")]}).to_string() + "\n");
    server.rounds.make().await.unwrap();
    assert_refused(issue_by(&server, &by(&old, "4")).await, Code::Unauthenticated, INVALID);
    accepted(issue_by(&server, &by(&new, "5")).await);
}

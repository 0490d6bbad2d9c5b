//! Keys from elsewhere: what is taken in signs or verifies as it was asked for.

use serde_json::{Value, json};
use tokend::{
    model::Algorithm,
    proto::v1::{self, ImportKeyRequest},
};
use tonic::Code;

use crate::{
    forge::payload,
    harness::{ISSUER, TestServer, accepted, assert_refused, fields, for_alice, settings},
    key_calls::{header, import, list, published},
    made_keys::{MadeKey, asymmetric, jwk_request, made, pem_request, token, verify_only, with},
};

const OTHER: &str = "https://other.example";

/// A server that signs tokens for the audience that is called like the algorithm with that.
pub async fn by_audience() -> TestServer {
    TestServer::with(|settings| {
        let rule =
            |algorithm: Algorithm| (tokend::model::Pattern::parse(algorithm.name()).unwrap(), algorithm);
        settings.rules.audience_algorithms = Algorithm::ALL.into_iter().map(rule).collect();
    })
    .await
}

/// Has the pending key sign, and checks that it does. Answers the token.
pub async fn sign_with(server: &TestServer, algorithm: Algorithm, key_id: &str) -> String {
    let request = v1::RotateKeysRequest {
        algorithm: algorithm.name().to_owned(),
        immediately: true,
        ..Default::default()
    };
    accepted(server.root.keys().rotate_keys(server.root.request(request)).await);
    let audiences = vec![algorithm.name().to_owned()];
    let request = v1::IssueTokenRequest { audiences: audiences.clone(), ..for_alice() };
    let token = accepted(server.root.issue(request).await).access_token;
    let expected = json!({"alg": algorithm.name(), "kid": key_id, "typ": "JWT"});
    assert_eq!(header(&token), expected);
    let request = v1::VerifyTokenRequest { token: token.clone(), audiences, ..Default::default() };
    assert_eq!(accepted(server.root.verify(request).await).key_id, key_id);
    token
}

/// A payload of `issuer` that is good at `orders`.
pub fn payload_of(issuer: &str) -> Value {
    with(&payload(), "iss", issuer)
}

pub fn foreign(request: ImportKeyRequest) -> ImportKeyRequest {
    ImportKeyRequest { issuer: OTHER.to_owned(), ..request }
}

/// The payload is good, and no other issuer's and nobody else's signature is.
async fn verifies_only(server: &TestServer, key: &MadeKey, kid: &str, issuer: &str, other: &str) {
    let algorithm = key.algorithm;
    let good = key.token(kid, &payload_of(issuer));
    let answer = accepted(server.root.check(&good).await);
    assert_eq!((answer.key_id.as_str(), answer.token_claims.unwrap().issuer.as_str()), (kid, issuer));
    let mismatch = server.root.check(&key.token(kid, &payload_of(other))).await;
    assert_refused(mismatch, Code::InvalidArgument, "TOKEN_ISSUER_MISMATCH");
    let (rest, _) = good.rsplit_once('.').unwrap();
    let tampered = key.token(kid, &payload_of(other));
    let tampered = format!("{rest}.{}", tampered.rsplit_once('.').unwrap().1);
    let answer = server.root.check(&tampered).await;
    let status = assert_refused(answer, Code::InvalidArgument, "TOKEN_SIGNATURE_INVALID");
    assert!(!status.message().contains(algorithm.name()));
}

#[tokio::test]
async fn a_private_key_of_each_algorithm_becomes_pending_and_signs() {
    let server = by_audience().await;
    for algorithm in asymmetric() {
        let key = accepted(import(&server, jwk_request(&made(algorithm).jwk)).await);
        assert_eq!(
            (key.state(), key.usage(), key.algorithm.as_str(), key.problem.as_str()),
            (v1::KeyState::Pending, v1::KeyUsage::SignAndVerify, algorithm.name(), "")
        );
        assert!(published(&server).await.contains(&key.key_id), "{algorithm}");
        let token = sign_with(&server, algorithm, &key.key_id).await;
        // What the private half made outside is as good: it is one and the same key.
        let outside = made(algorithm).token(&key.key_id, &payload_of(ISSUER));
        accepted(server.root.check(&outside).await);
        assert_ne!(token, outside);
    }
}

#[tokio::test]
async fn a_key_keeps_the_id_that_it_came_with_or_is_given_another() {
    let server = by_audience().await;
    let jwk = with(&made(Algorithm::Es384).jwk, "kid", "of-its-own/2024");
    let own = accepted(import(&server, jwk_request(&jwk)).await);
    assert_eq!(own.key_id, "of-its-own/2024");
    sign_with(&server, Algorithm::Es384, "of-its-own/2024").await;
    let jwk = with(&made(Algorithm::EdDsa).jwk, "kid", "of-its-own/2025");
    let named = ImportKeyRequest { key_id: "given".to_owned(), ..jwk_request(&jwk) };
    assert_eq!(accepted(import(&server, named).await).key_id, "given");
    sign_with(&server, Algorithm::EdDsa, "given").await;
    let set = published(&server).await;
    assert!(set.contains(&own.key_id) && set.contains(&"given".to_owned()), "{set:?}");
}

#[tokio::test]
async fn a_public_key_of_another_issuer_verifies_its_tokens_only() {
    let server = TestServer::start().await;
    let before = published(&server).await;
    for algorithm in asymmetric() {
        let request = pem_request(made(algorithm).public_pem(), algorithm.name());
        let key = accepted(import(&server, foreign(request)).await);
        assert_eq!(
            (key.state(), key.usage(), key.issuer.as_str(), key.publish_time),
            (v1::KeyState::Retired, v1::KeyUsage::VerifyOnly, OTHER, None)
        );
        verifies_only(&server, made(algorithm), &key.key_id, OTHER, ISSUER).await;
    }
    assert_eq!(published(&server).await, before, "the keys of others are theirs to publish");
    let answer = server.root.trust().get_trust_bundle(v1::GetTrustBundleRequest::default()).await;
    let bundle: Value = serde_json::from_str(&accepted(answer).into_inner().jwks_json).unwrap();
    assert_eq!(bundle["keys"].as_array().unwrap().len(), before.len());
}

#[tokio::test]
async fn a_public_key_without_issuer_is_one_of_ours_of_before() {
    let server = TestServer::start().await;
    for algorithm in asymmetric() {
        let key = accepted(import(&server, jwk_request(&made(algorithm).public_jwk)).await);
        assert_eq!((key.usage(), key.issuer.as_str()), (v1::KeyUsage::VerifyOnly, ""));
        verifies_only(&server, made(algorithm), &key.key_id, ISSUER, OTHER).await;
        assert!(published(&server).await.contains(&key.key_id), "{algorithm}");
    }
}

#[tokio::test]
async fn of_a_private_key_that_is_to_verify_only_the_private_half_is_let_go() {
    let server = TestServer::start().await;
    let next = server.store.keys().await.unwrap().pending(Algorithm::Es256).unwrap().key_id.clone();
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs512, Algorithm::MlDsa87] {
        let key = accepted(import(&server, verify_only(jwk_request(&made(algorithm).jwk))).await);
        assert_eq!((key.state(), key.usage()), (v1::KeyState::Retired, v1::KeyUsage::VerifyOnly));
        verifies_only(&server, made(algorithm), &key.key_id, ISSUER, OTHER).await;
        let record = server.store.keys().await.unwrap().get(&key.key_id).cloned().unwrap();
        assert!(record.sealed.is_none() && record.public.is_some(), "{algorithm}");
    }
    // The same by itself where its own words, or the issuer, leave nothing else.
    let verifies = with(&made(Algorithm::Es384).jwk, "key_ops", json!(["verify"]));
    for request in [jwk_request(&verifies), foreign(jwk_request(&made(Algorithm::Ps256).jwk))] {
        let key = accepted(import(&server, request).await);
        assert_eq!(key.usage(), v1::KeyUsage::VerifyOnly);
        assert!(server.store.keys().await.unwrap().get(&key.key_id).unwrap().sealed.is_none());
    }
    let set = server.store.keys().await.unwrap();
    assert_eq!(set.pending(Algorithm::Es256).unwrap().key_id, next, "no key that is to sign made room");
}

#[tokio::test]
async fn of_a_set_the_keys_that_can_be_used_are_taken_and_the_others_named() {
    let server = TestServer::start().await;
    let algorithms = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa, Algorithm::MlDsa44];
    let kid = |algorithm: Algorithm| format!("{}-of-theirs", algorithm.name());
    let mut keys: Vec<Value> = algorithms
        .into_iter()
        .map(|algorithm| with(&made(algorithm).public_jwk, "kid", kid(algorithm)))
        .collect();
    let all = json!({"keys": keys});
    // Nothing is taken of a set that is a mistake as a whole.
    let good = keys[3].clone();
    keys[3] = with(&good, "priv", "AA");
    let before = list(&server).await;
    let answer = import(&server, foreign(jwk_request(&json!({"keys": keys})))).await;
    let status = assert_refused(answer, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(fields(&status), ["jwk_json.keys[3]"]);
    assert_eq!(list(&server).await, before);
    let unknown = made(Algorithm::Rs256).token(&kid(Algorithm::Rs256), &payload_of(OTHER));
    assert_refused(server.root.check(&unknown).await, Code::InvalidArgument, "TOKEN_KEY_UNKNOWN");

    // Past the pause in which an unknown id is not looked for again.
    server.clock.advance(10);
    let mut more = all["keys"].as_array().unwrap().clone();
    more.insert(
        1,
        json!({"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB", "kid": "enc"}),
    );
    more.push(
        json!({"kty": "EC", "crv": "P-521", "alg": "ES512", "x": "AA", "y": "AA", "kid": "k".repeat(200)}),
    );
    let request = server.root.request(foreign(jwk_request(&json!({"keys": more}))));
    let imported = accepted(server.root.keys().import_key(request).await).into_inner();
    let taken: Vec<String> = imported.keys.into_iter().map(|key| key.key_id).collect();
    assert_eq!(taken, algorithms.map(kid));
    let skipped: Vec<(String, String)> =
        imported.skipped_keys.into_iter().map(|key| (key.key_id, key.problem)).collect();
    let long = "`keys[5].kid` must be 1 to 128 printable ASCII characters other than space, `\"` and `\\`";
    assert_eq!(
        skipped,
        [
            ("enc".to_owned(), "`keys[1].use` must be `sig`, or `jwt-svid` of a SPIFFE bundle".to_owned()),
            ("k".repeat(128), long.to_owned()),
        ]
    );
    let alone = json!({"keys": [more[1]]});
    let answer = import(&server, foreign(jwk_request(&alone))).await;
    let status = assert_refused(answer, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(fields(&status), ["jwk_json.keys[0].use"]);
    for algorithm in algorithms {
        verifies_only(&server, made(algorithm), &kid(algorithm), OTHER, ISSUER).await;
    }
}

#[tokio::test]
async fn a_set_with_one_key_that_is_there_already_stores_none() {
    let server = TestServer::start().await;
    accepted(import(&server, jwk_request(&made(Algorithm::EdDsa).public_jwk)).await);
    let before = list(&server).await;
    let set = json!({"keys": [made(Algorithm::Es256).public_jwk, made(Algorithm::EdDsa).public_jwk]});
    assert_refused(import(&server, jwk_request(&set)).await, Code::AlreadyExists, "KEY_ALREADY_EXISTS");
    assert_eq!(list(&server).await, before);
}

#[tokio::test]
async fn what_was_imported_is_the_same_after_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let clock = crate::harness::manual_clock();
    let mut before = TestServer::on(crate::key_calls::file(&folder).await, settings(), clock.clone()).await;
    let theirs = accepted(import(&before, foreign(jwk_request(&made(Algorithm::EdDsa).public_jwk))).await);
    let secret = crate::made_keys::secret_request([9; 32], "HS256");
    let secret = accepted(import(&before, verify_only(secret)).await);
    let keys = list(&before).await;
    before.begin_stop();
    before.stopped().await;
    let server = TestServer::on(crate::key_calls::file(&folder).await, settings(), clock).await;
    assert_eq!(list(&server).await, keys);
    verifies_only(&server, made(Algorithm::EdDsa), &theirs.key_id, OTHER, ISSUER).await;
    let token = token(Algorithm::Hs256, &[9; 32], &secret.key_id, &payload_of(ISSUER));
    accepted(server.root.check(&token).await);
}

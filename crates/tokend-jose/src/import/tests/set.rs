//! JWK sets.

use serde_json::{Value, json};

use super::{
    at,
    made::{b64, made},
    refused, refused_jwk, with,
};
use crate::{
    Algorithm, KeyId,
    import::{ImportedKey, Source, import, problem::Problem},
};

fn public(algorithm: Algorithm, kid: &str) -> Value {
    with(&made(algorithm).public_jwk, &[("kid", json!(kid)), ("alg", json!(algorithm.name()))])
}

fn secret(kid: &str) -> Value {
    json!({"kty": "oct", "alg": "HS256", "kid": kid, "k": b64(format!("{kid:*>40}"))})
}

fn taken(keys: &Value) -> Vec<ImportedKey> {
    let imported = import(Source::Jwk(&json!({"keys": keys}).to_string()), None);
    let imported = imported.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(imported.skipped, []);
    imported.keys
}

fn refused_set(keys: &Value) -> (String, Problem) {
    refused_jwk(&json!({"keys": keys}))
}

#[test]
fn sets_of_public_keys_and_sets_of_secrets_are_taken_in_their_order() {
    let keys = taken(&json!([
        public(Algorithm::Rs256, "a"),
        made(Algorithm::Es256).public_jwk,
        public(Algorithm::MlDsa44, "b")
    ]));
    let algorithms: Vec<Algorithm> = keys.iter().map(|key| key.algorithm).collect();
    assert_eq!(algorithms, [Algorithm::Rs256, Algorithm::Es256, Algorithm::MlDsa44]);
    let ids: Vec<Option<&str>> = keys.iter().map(|key| key.key_id.as_ref().map(KeyId::as_str)).collect();
    assert_eq!(ids, [Some("a"), None, Some("b")]);
    assert!(keys.iter().all(|key| key.private.is_none() && !key.may_sign));

    let keys = taken(&json!([secret("one"), secret("two")]));
    assert!(keys.iter().all(|key| key.private.is_some() && key.public.is_none()));
    assert_eq!(taken(&json!([made(Algorithm::Es256).jwk])).len(), 1, "a private key that is alone");
}

#[test]
fn sets_that_are_none() {
    assert_eq!(refused_set(&json!([])), at("keys", Problem::SetEmpty));
    assert_eq!(refused_set(&json!({})), at("keys", Problem::SetNotList));
    assert_eq!(refused_set(&Value::Null), at("keys", Problem::SetNotList));
    assert_eq!(refused_set(&json!([public(Algorithm::Es256, "a"), 1])), at("keys[1]", Problem::SetMember));
    let many: Vec<Value> = (0..33).map(|index| secret(&format!("key-{index}"))).collect();
    assert_eq!(refused_set(&json!(many)), at("keys", Problem::SetTooLong));
    assert_eq!(taken(&json!(many[..32])).len(), 32);
}

#[test]
fn sets_that_mix() {
    let (key, secret) = (public(Algorithm::Es256, "a"), secret("b"));
    assert_eq!(refused_set(&json!([key, secret])), at("keys[1]", Problem::SetMixed));
    assert_eq!(refused_set(&json!([secret, key])), at("keys[1]", Problem::SetMixed));
    for algorithm in [Algorithm::Es384, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::MlDsa65] {
        let keys = json!([key, made(algorithm).jwk]);
        assert_eq!(refused_set(&keys), at("keys[1]", Problem::SetPrivate), "{algorithm}");
    }
    // A private half that is only begun is private, too.
    let begun = with(&public(Algorithm::Rs256, "c"), &[("qi", json!("AA"))]);
    assert_eq!(refused_set(&json!([begun, key])), at("keys[0]", Problem::SetPrivate));
}

#[test]
fn keys_that_share_an_id() {
    let (one, two) = (public(Algorithm::Es256, "a"), public(Algorithm::Es384, "a"));
    assert_eq!(refused_set(&json!([one, two])), at("keys[1].kid", Problem::SetDuplicate));
    assert_eq!(refused_set(&json!([secret("x"), secret("x")])), at("keys[1].kid", Problem::SetDuplicate));
    let bare = &made(Algorithm::Es256).public_jwk;
    assert_eq!(refused_set(&json!([bare, bare])), at("keys[1].kid", Problem::SetDuplicate));
    let thumbprint = made(Algorithm::Es256).public_key.thumbprint();
    let named = public(Algorithm::Es384, thumbprint.as_str());
    assert_eq!(refused_set(&json!([named, bare])), at("keys[1].kid", Problem::SetDuplicate));
}

#[test]
fn one_key_under_two_ids() {
    let (one, two) = (public(Algorithm::Es256, "a"), public(Algorithm::Es256, "b"));
    let between = public(Algorithm::Es384, "c");
    assert_eq!(refused_set(&json!([one, between, two])), at("keys[2]", Problem::SetSameKey));
    // For another algorithm it is the same RSA key all the same.
    let (one, two) = (public(Algorithm::Rs256, "a"), public(Algorithm::Rs256, "b"));
    let two = with(&two, &[("alg", json!("PS256"))]);
    assert_eq!(refused_set(&json!([one, two])), at("keys[1]", Problem::SetSameKey));
    // Without `kid` each would get a random id.
    let bare = with(&secret("x"), &[("kid", Value::Null)]);
    assert_eq!(refused_set(&json!([bare, bare])), at("keys[1]", Problem::SetSameKey));
}

#[test]
fn what_is_wrong_with_one_key_says_with_which() {
    let good = public(Algorithm::Es256, "a");
    for (members, expected) in [
        (vec![("kty", json!("XYZ"))], ("kty", Problem::KeyType)),
        (vec![("x", json!("AA"))], ("x", Problem::Length(32))),
        (vec![("alg", json!("ES384"))], ("", Problem::AlgorithmUnfit(Algorithm::Es384))),
        (vec![("alg", json!("ES512"))], ("alg", Problem::AlgorithmUnknown)),
        (vec![("crv", json!("secp256k1"))], ("crv", Problem::EcCurve)),
        (vec![("use", json!("enc"))], ("use", Problem::Use)),
    ] {
        let bad = with(&with(&good, &[("kid", json!("b"))]), &members);
        // The first of several that cannot be used is told, if there is no other.
        let none = json!({"kty": "none"});
        assert_eq!(refused_set(&json!([none, bad])), at("keys[0].kty", Problem::KeyType));
        let set = json!({"keys": [good, bad]}).to_string();
        let imported = import(Source::Jwk(&set), None).ok().unwrap();
        assert_eq!(imported.keys.len(), 1);
        let told = match expected {
            ("", problem) => format!("`keys[1]` {problem} (`kid` \"b\")"),
            (path, problem) => format!("`keys[1].{path}` {problem} (`kid` \"b\")"),
        };
        assert_eq!(imported.skipped.iter().map(ToString::to_string).collect::<Vec<_>>(), [told]);
    }
    let rsa = &made(Algorithm::Rs256).public_jwk;
    let set = json!({"keys": [rsa]}).to_string();
    assert!(import(Source::Jwk(&set), Some(Algorithm::Ps384)).is_ok());
    let (path, problem) = refused(Source::Jwk(&set), None);
    assert!(path == "keys[0]" && matches!(problem, Problem::AlgorithmNeeded(_)));
    let set = json!({"keys": [good]}).to_string();
    let contradicts =
        Problem::AlgorithmContradicts { declared: Algorithm::Es256, requested: Algorithm::Es384 };
    assert_eq!(refused(Source::Jwk(&set), Some(Algorithm::Es384)), at("keys[0]", contradicts));
}

//! HMAC secrets, as bytes and as JWK.

use serde_json::json;

use super::{
    at,
    made::{b64, bits, inside, made, pem},
    refused, refused_jwk, taken,
};
use crate::{
    Algorithm,
    import::{
        Source,
        problem::{Choice, Problem},
    },
};

const SECRETS: [(Algorithm, usize); 3] =
    [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)];

#[test]
fn a_secret_as_long_as_the_hash_is_taken_and_a_shorter_one_refused() {
    for (algorithm, least) in SECRETS {
        let secret = vec![0xa5; least];
        let key = taken(Source::Secret(&secret), Some(algorithm));
        assert_eq!((key.algorithm, key.may_sign), (algorithm, true));
        assert_eq!(**key.private.as_ref().unwrap(), secret);
        assert!(key.public.is_none() && key.key_id.is_none());
        let short = refused(Source::Secret(&secret[1..]), Some(algorithm));
        assert_eq!(short, at("", Problem::SecretTooShort { algorithm, least }));

        let jwk = json!({"kty": "oct", "alg": algorithm.name(), "kid": "shared", "k": b64(&secret)});
        let key = taken(Source::Jwk(&jwk.to_string()), None);
        assert_eq!(**key.private.as_ref().unwrap(), secret);
        assert_eq!(key.key_id.unwrap().as_str(), "shared");
        let jwk = json!({"kty": "oct", "alg": algorithm.name(), "k": b64(&secret[1..])});
        assert_eq!(refused_jwk(&jwk), at("k", Problem::SecretTooShort { algorithm, least }));
    }
}

#[test]
fn a_secret_does_not_tell_its_algorithm() {
    let needed = || Problem::AlgorithmNeeded(Choice(SECRETS.map(|(algorithm, _)| algorithm).to_vec()));
    assert_eq!(refused(Source::Secret(&[1; 64]), None), at("", needed()));
    assert_eq!(refused_jwk(&json!({"kty": "oct", "k": b64([1; 64])})), at("", needed()));
    let unfit = at("", Problem::AlgorithmUnfit(Algorithm::Es256));
    assert_eq!(refused(Source::Secret(&[1; 64]), Some(Algorithm::Es256)), unfit);
    let jwk = json!({"kty": "oct", "alg": "HS256", "k": b64([1; 64])}).to_string();
    let contradicts =
        Problem::AlgorithmContradicts { declared: Algorithm::Hs256, requested: Algorithm::Hs512 };
    assert_eq!(refused(Source::Jwk(&jwk), Some(Algorithm::Hs512)), at("", contradicts));
    assert_eq!(refused_jwk(&json!({"kty": "oct", "alg": "HS256"})), at("k", Problem::Missing));
}

#[test]
fn a_key_in_place_of_a_secret() {
    let (ec, rsa) = (made(Algorithm::Es256), made(Algorithm::Rs256));
    let texts = [
        pem("PUBLIC KEY", &rsa.spki),
        format!("\n  {}", pem("PRIVATE KEY", &ec.pkcs8)),
        ec.public_jwk.to_string(),
        format!(" {} \n", json!({"keys": [rsa.public_jwk]})),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDiVDuu6Zc4DnB+LOB5ayyq0rPOhFYjM9CVVTgFbVHgy me".to_owned(),
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTY= me@host.example".to_owned(),
    ];
    let bytes = [
        ec.spki.clone(),
        ec.pkcs8.clone(),
        inside(&ec.pkcs8),
        rsa.pkcs8.clone(),
        inside(&rsa.pkcs8),
        bits(&rsa.spki),
    ];
    for bytes in texts.into_iter().map(String::into_bytes).chain(bytes) {
        let refusal = refused(Source::Secret(&bytes), Some(Algorithm::Hs256));
        assert_eq!(refusal, at("", Problem::SecretIsKey), "{}", String::from_utf8_lossy(&bytes));
        let jwk = json!({"kty": "oct", "alg": "HS256", "k": b64(&bytes)});
        assert_eq!(refused_jwk(&jwk), at("k", Problem::SecretIsKey));
    }
    // JSON and text that are no key are as good as any other bytes.
    for text in [r#"{"secret": "correct horse battery staple"}"#, "the wind in the willows, unabridged"] {
        taken(Source::Secret(text.as_bytes()), Some(Algorithm::Hs256));
    }
}

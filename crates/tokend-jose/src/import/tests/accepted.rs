//! What is taken: every kind of key in every form.

use std::sync::Arc;

use aws_lc_rs::{encoding::AsRawBytes as _, signature::PqdsaKeyPair};
use sec1::EcPrivateKey;
use serde_json::{Value, json};

use super::{
    made::{Made, SEED, b64, bits, ed25519_v2, inside, made, octet_string, pem, pkcs8, unb64},
    taken, with,
};
use crate::{
    Algorithm, KeyMaterial, Signer,
    import::{ImportedKey, Source},
    material::ml_dsa_method,
};

/// Each made key with the algorithm that is to be said, if the key itself does not tell.
fn every() -> impl Iterator<Item = (Algorithm, Option<Algorithm>, &'static Made)> {
    let telling = [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa];
    let ml_dsa = [Algorithm::MlDsa44, Algorithm::MlDsa65, Algorithm::MlDsa87];
    let rsa = [Algorithm::Rs256, Algorithm::Ps512];
    let silent = rsa.into_iter().map(|algorithm| (algorithm, Some(algorithm)));
    let all = telling.into_iter().chain(ml_dsa).map(|algorithm| (algorithm, None)).chain(silent);
    all.map(|(algorithm, said)| (algorithm, said, made(algorithm)))
}

/// The key is the one that was made, and what is to be sealed signs.
fn is_private(key: &ImportedKey, algorithm: Algorithm, made: &Made) {
    is_public_half(key, algorithm, made);
    let material = KeyMaterial::parse(algorithm, key.private.as_ref().unwrap()).unwrap();
    let signature = Signer::in_memory(algorithm, Arc::new(material)).sign(b"message").unwrap();
    crate::Verifier::public(made.public_key.clone()).verify(b"message", &signature).unwrap();
    assert!(key.may_sign);
}

fn is_public(key: &ImportedKey, algorithm: Algorithm, made: &Made) {
    is_public_half(key, algorithm, made);
    assert!(key.private.is_none() && !key.may_sign);
}

fn is_public_half(key: &ImportedKey, algorithm: Algorithm, made: &Made) {
    assert_eq!(key.algorithm, algorithm);
    assert_eq!(key.public.as_ref().unwrap().to_jwk(), made.public_key.to_jwk());
}

#[test]
fn pkcs8_and_spki_of_every_kind() {
    for (algorithm, said, made) in every() {
        is_private(&taken(Source::Pem(&pem("PRIVATE KEY", &made.pkcs8)), said), algorithm, made);
        is_public(&taken(Source::Pem(&pem("PUBLIC KEY", &made.spki)), said), algorithm, made);
        // To say what the key says as well does no harm.
        is_public(&taken(Source::Pem(&pem("PUBLIC KEY", &made.spki)), Some(algorithm)), algorithm, made);
    }
}

#[test]
fn jwks_of_every_kind_with_their_ids() {
    for (algorithm, said, made) in every() {
        let jwk = |jwk: &Value| taken(Source::Jwk(&jwk.to_string()), said);
        is_private(&jwk(&made.jwk), algorithm, made);
        is_public(&jwk(&made.public_jwk), algorithm, made);
        assert!(jwk(&made.jwk).key_id.is_none());
        let told = with(
            &made.jwk,
            &[("kid", json!("my-key/1")), ("use", json!("sig")), ("alg", json!(algorithm.name()))],
        );
        let key = taken(Source::Jwk(&told.to_string()), None);
        is_private(&key, algorithm, made);
        assert_eq!(key.key_id.unwrap().as_str(), "my-key/1");
    }
}

#[test]
fn what_is_kept_of_a_private_key_is_its_shortest_form() {
    for (algorithm, said, made) in every() {
        let key = taken(Source::Jwk(&made.jwk.to_string()), said);
        let again = KeyMaterial::parse(algorithm, key.private.as_ref().unwrap()).unwrap();
        assert_eq!(again.to_pkcs8().unwrap(), key.private.unwrap(), "{algorithm}");
    }
}

#[test]
fn the_forms_of_old() {
    for algorithm in [Algorithm::Rs256, Algorithm::Ps512] {
        let made = made(algorithm);
        let private = pem("RSA PRIVATE KEY", &inside(&made.pkcs8));
        is_private(&taken(Source::Pem(&private), Some(algorithm)), algorithm, made);
        let public = pem("RSA PUBLIC KEY", &bits(&made.spki));
        is_public(&taken(Source::Pem(&public), Some(algorithm)), algorithm, made);
    }
    for (algorithm, curve) in [(Algorithm::Es256, "1.2.840.10045.3.1.7"), (Algorithm::Es384, "1.3.132.0.34")]
    {
        let made = made(algorithm);
        let curve = pkcs8::ObjectIdentifier::new(curve).unwrap();
        let number = unb64(&made.jwk["d"]);
        let key = |named: bool| EcPrivateKey {
            private_key: &number,
            parameters: named.then(|| curve.into()),
            public_key: None,
        };
        use pkcs8::der::Encode as _;
        let named = pem("EC PRIVATE KEY", &key(true).to_der().unwrap());
        is_private(&taken(Source::Pem(&named), None), algorithm, made);
        // The parameters may stand in a block of their own, with the curve named twice or there only.
        let parameters = pem("EC PARAMETERS", &curve.to_der().unwrap());
        is_private(&taken(Source::Pem(&format!("{parameters}{named}")), None), algorithm, made);
        let bare = pem("EC PRIVATE KEY", &key(false).to_der().unwrap());
        is_private(&taken(Source::Pem(&format!("{parameters}{bare}")), None), algorithm, made);
    }
}

#[test]
fn pem_as_it_is_found_in_files() {
    let made = made(Algorithm::Es256);
    let text = pem("PUBLIC KEY", &made.spki);
    let dressed = [
        text.replace('\n', "\r\n"),
        format!("Public-Key: (256 bit)\n    04:aa:bb\n{text}\n\n"),
        text.trim_end().to_owned(),
        // One line in place of lines of 64.
        text.replacen('\n', "#", 1).replace("\n-----END", "#-----END").replace('\n', "").replace('#', "\n"),
    ];
    for text in dressed {
        is_public(&taken(Source::Pem(&text), None), Algorithm::Es256, made);
    }
}

#[test]
fn ed25519_with_its_public_half_inside() {
    let key = taken(Source::Pem(&pem("PRIVATE KEY", &ed25519_v2())), None);
    assert_eq!(key.algorithm, Algorithm::EdDsa);
    let kept = key.private.unwrap();
    assert_eq!(kept.len(), 48, "version 1, which every reader takes");
    assert!(kept.ends_with(&SEED));
}

#[test]
fn ml_dsa_whose_seed_is_lost() {
    let (algorithm, oid) = (Algorithm::MlDsa65, "2.16.840.1.101.3.4.3.18");
    let pair = PqdsaKeyPair::from_seed(ml_dsa_method(algorithm), &SEED).unwrap();
    let expanded = pair.private_key().as_raw_bytes().unwrap();
    let der = pkcs8(oid, None, &octet_string(expanded.as_ref()), None);
    let key = taken(Source::Pem(&pem("PRIVATE KEY", &der)), None);
    assert_eq!(**key.private.as_ref().unwrap(), der);
    let material = KeyMaterial::parse(algorithm, &der).unwrap();
    assert_eq!(material.public_key(algorithm).unwrap().to_jwk(), key.public.unwrap().to_jwk());
}

#[test]
fn private_numbers_of_rsa_may_have_leading_zeros() {
    // As .NET writes them.
    let made = made(Algorithm::Rs256);
    let long = |name: &str| json!(b64([&[0], unb64(&made.jwk[name]).as_slice()].concat()));
    let jwk = with(&made.jwk, &[("dp", long("dp")), ("dq", long("dq")), ("qi", long("qi"))]);
    is_private(&taken(Source::Jwk(&jwk.to_string()), Some(Algorithm::Rs256)), Algorithm::Rs256, made);
}

#[test]
fn what_key_ops_say() {
    let made = made(Algorithm::Es256);
    let key = |operations: Value| {
        taken(Source::Jwk(&with(&made.jwk, &[("key_ops", operations)]).to_string()), None)
    };
    assert!(key(json!(["sign", "verify"])).may_sign);
    let verifies = key(json!(["verify"]));
    assert!(!verifies.may_sign && verifies.private.is_some());
    let public = with(&made.public_jwk, &[("key_ops", json!(["verify"]))]);
    is_public(&taken(Source::Jwk(&public.to_string()), None), Algorithm::Es256, made);
}

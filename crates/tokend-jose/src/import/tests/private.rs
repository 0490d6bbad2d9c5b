//! Private halves that do not belong to the public ones.

use pkcs8::{ObjectIdentifier, der::Encode as _};
use sec1::EcPrivateKey;
use serde_json::{Value, json};

use super::{
    at,
    made::{SEED, b64, bits, inside, made, make, octet_string, pem, pkcs8, unb64},
    refused_jwk, refused_pem, with,
};
use crate::{Algorithm, import::problem::Problem};

/// An RSA key whose numbers all agree, but one of its factors is the product of two primes.
const COMPOSITE: &str = include_str!("composite.jwk.json");

#[test]
fn jwks_with_halves_of_two_keys() {
    for (algorithm, private) in [
        (Algorithm::Es256, "d"),
        (Algorithm::Es384, "d"),
        (Algorithm::EdDsa, "d"),
        (Algorithm::MlDsa44, "priv"),
        (Algorithm::MlDsa87, "priv"),
    ] {
        let other = make(algorithm).jwk[private].clone();
        let jwk = with(&made(algorithm).jwk, &[(private, other)]);
        assert_eq!(refused_jwk(&jwk), at("", Problem::HalvesDiffer), "{algorithm}");
    }
    let good = with(&made(Algorithm::Rs256).jwk, &[("alg", json!("RS256"))]);
    let other = &made(Algorithm::Ps512).jwk;
    for names in
        [&["n"][..], &["d"], &["p"], &["q"], &["dp"], &["dq"], &["qi"], &["p", "q", "dp", "dq", "qi"]]
    {
        let members: Vec<(&str, Value)> = names.iter().map(|name| (*name, other[*name].clone())).collect();
        assert_eq!(refused_jwk(&with(&good, &members)), at("", Problem::HalvesDiffer), "{names:?}");
    }
    let huge = with(&good, &[("d", json!(b64(vec![0xff; 20_000])))]);
    assert_eq!(refused_jwk(&huge), at("", Problem::HalvesDiffer));
    let exponent = with(&good, &[("e", json!(b64([1, 0, 3])))]);
    assert_eq!(refused_jwk(&exponent), at("", Problem::HalvesDiffer));
}

#[test]
fn jwks_with_half_a_private_half() {
    let good = with(&made(Algorithm::Rs256).jwk, &[("alg", json!("RS256"))]);
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        assert_eq!(
            refused_jwk(&with(&good, &[(name, Value::Null)])),
            at("", Problem::RsaIncomplete),
            "{name}"
        );
    }
    assert_eq!(
        refused_jwk(&with(&good, &[("oth", json!([{"r": "AQ"}]))])),
        at("oth", Problem::RsaMultiPrime)
    );
    assert_eq!(refused_jwk(&with(&good, &[("p", json!(1))])), at("p", Problem::NotText));
}

#[test]
fn private_numbers_that_are_none() {
    for (algorithm, len) in [(Algorithm::Es256, 32), (Algorithm::Es384, 48)] {
        let jwk = |bytes: &[u8]| refused_jwk(&with(&made(algorithm).jwk, &[("d", json!(b64(bytes)))]));
        assert_eq!(jwk(&vec![0; len]), at("", Problem::PrivateNumber));
        // Larger than the order of the curve.
        assert_eq!(jwk(&vec![0xff; len]), at("", Problem::PrivateNumber));
        assert_eq!(jwk(&vec![1; len - 1]), at("d", Problem::Length(len)));
        assert_eq!(jwk(&vec![1; len + 1]), at("d", Problem::Length(len)));
    }
    let seed = with(&made(Algorithm::EdDsa).jwk, &[("d", json!(b64([1; 31])))]);
    assert_eq!(refused_jwk(&seed), at("d", Problem::Length(32)));
}

#[test]
fn rsa_whose_factors_are_no_primes() {
    let jwk: Value = serde_json::from_str(COMPOSITE).unwrap();
    assert_eq!(refused_jwk(&jwk), at("", Problem::DoesNotSign));
}

#[test]
fn sec1_and_pkcs8_with_halves_of_two_keys() {
    let (made_one, other) = (made(Algorithm::Es256), make(Algorithm::Es256));
    let curve = ObjectIdentifier::new("1.2.840.10045.3.1.7").unwrap();
    let (number, point) = (unb64(&made_one.jwk["d"]), bits(&other.spki));
    let key = EcPrivateKey { private_key: &number, parameters: Some(curve.into()), public_key: Some(&point) };
    let sec1 = key.to_der().unwrap();
    assert_eq!(refused_pem(&pem("EC PRIVATE KEY", &sec1)), Problem::HalvesDiffer);
    let ec = |private: &[u8], public: Option<&[u8]>| {
        pem("PRIVATE KEY", &pkcs8("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7"), private, public))
    };
    assert_eq!(refused_pem(&ec(&sec1, None)), Problem::HalvesDiffer);
    assert_eq!(refused_pem(&ec(&inside(&made_one.pkcs8), Some(&point))), Problem::HalvesDiffer);

    let point = bits(&made(Algorithm::EdDsa).spki);
    let ed = pkcs8("1.3.101.112", None, &octet_string(&SEED), Some(&point));
    assert_eq!(refused_pem(&pem("PRIVATE KEY", &ed)), Problem::HalvesDiffer);
    let short = pkcs8("1.3.101.112", None, &octet_string(&SEED[1..]), None);
    assert_eq!(refused_pem(&pem("PRIVATE KEY", &short)), Problem::Der);
}

#[test]
fn curves_that_contradict_each_other() {
    let made = made(Algorithm::Es256);
    let p384 = ObjectIdentifier::new("1.3.132.0.34").unwrap();
    let number = unb64(&made.jwk["d"]);
    let key = EcPrivateKey { private_key: &number, parameters: Some(p384.into()), public_key: None };
    let sec1 = key.to_der().unwrap();
    let nested = pkcs8("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7"), &sec1, None);
    assert_eq!(refused_pem(&pem("PRIVATE KEY", &nested)), Problem::CurvesDiffer);
    let p256 = ObjectIdentifier::new("1.2.840.10045.3.1.7").unwrap().to_der().unwrap();
    let both = format!("{}{}", pem("EC PARAMETERS", &p256), pem("EC PRIVATE KEY", &sec1));
    assert_eq!(refused_pem(&both), Problem::CurvesDiffer);
    let unnamed = EcPrivateKey { parameters: None, ..key }.to_der().unwrap();
    assert_eq!(refused_pem(&pem("EC PRIVATE KEY", &unnamed)), Problem::CurveUnnamed);
}

#[test]
fn ml_dsa_whose_seed_and_expanded_key_differ() {
    let pkcs8_of = |inner: &[u8]| pem("PRIVATE KEY", &pkcs8("2.16.840.1.101.3.4.3.17", None, inner, None));
    assert_eq!(refused_pem(&pkcs8_of(&octet_string(&[0; 2559]))), Problem::Der);
    assert_eq!(refused_pem(&pkcs8_of(&SEED)), Problem::Der, "the bare seed, without its tag");
    // Seed and expanded key (RFC 9881 section 6), the latter of no key at all.
    let seed = octet_string(&SEED);
    let expanded = octet_string(&[1; 2560]);
    let length = u16::try_from(seed.len() + expanded.len()).unwrap().to_be_bytes();
    let both = [&[0x30, 0x82], length.as_slice(), &seed, &expanded].concat();
    assert_eq!(refused_pem(&pkcs8_of(&both)), Problem::Der);
}

//! JWKs that are refused, each for its own reason.

use curve25519_dalek::{constants::EIGHT_TORSION, edwards::CompressedEdwardsY};
use serde_json::{Value, json};

use super::{
    at,
    made::{b64, made, unb64},
    refused, refused_jwk, with,
};
use crate::{
    Algorithm,
    import::{
        Source,
        problem::{Choice, Problem},
    },
};

fn es256() -> &'static Value {
    &made(Algorithm::Es256).public_jwk
}

#[test]
fn json_that_two_readers_could_understand_differently() {
    let json = |text: &str| {
        let (path, problem) = refused(Source::Jwk(text), None);
        assert_eq!(path, "");
        let Problem::Json(text) = problem else { panic!("{problem}") };
        text
    };
    assert_eq!(json("[]"), "must be a JSON object");
    let twice = es256().to_string().replacen('{', r#"{"x":"AA","#, 1);
    assert_eq!(json(&twice), "must not name a member twice");
    assert!(json("{} {}").starts_with("must be well-formed JSON"));
    assert!(json("").starts_with("must be well-formed JSON"));
    assert!(json(&"[".repeat(40_000)).ends_with("must not be nested more than 32 deep"));
}

#[test]
fn members_that_say_what_the_key_is() {
    for (members, expected) in [
        (vec![("kty", Value::Null)], at("kty", Problem::Missing)),
        (vec![("kty", json!("ec"))], at("kty", Problem::KeyType)),
        (vec![("kty", json!(1))], at("kty", Problem::NotText)),
        (vec![("crv", Value::Null)], at("crv", Problem::Missing)),
        (vec![("crv", json!("P-521"))], at("crv", Problem::EcCurve)),
        (vec![("crv", json!("secp256k1"))], at("crv", Problem::EcCurve)),
        (vec![("crv", json!("Ed25519"))], at("crv", Problem::EcCurve)),
        (vec![("x", Value::Null)], at("x", Problem::Missing)),
        (vec![("y", json!(7))], at("y", Problem::NotText)),
        (vec![("use", json!("enc"))], at("use", Problem::Use)),
        (vec![("use", json!(["sig"]))], at("use", Problem::NotText)),
        (vec![("use", json!("x509-svid"))], at("use", Problem::Use)),
        (vec![("key_ops", json!(["sign"]))], at("key_ops", Problem::KeyOpsUnfit)),
        (vec![("key_ops", json!(["deriveBits"]))], at("key_ops", Problem::KeyOpsUnfit)),
        (vec![("key_ops", json!("verify"))], at("key_ops", Problem::KeyOps)),
        (vec![("key_ops", json!(["verify", 1]))], at("key_ops", Problem::KeyOps)),
        (vec![("key_ops", json!(["verify", "verify"]))], at("key_ops", Problem::KeyOps)),
        (vec![("alg", json!("ECDH-ES"))], at("alg", Problem::AlgorithmUnknown)),
        (vec![("alg", json!("none"))], at("alg", Problem::AlgorithmUnknown)),
        (vec![("alg", json!("ES384"))], at("", Problem::AlgorithmUnfit(Algorithm::Es384))),
        (vec![("alg", json!("HS256"))], at("", Problem::AlgorithmUnfit(Algorithm::Hs256))),
        (vec![("keys", json!([]))], at("", Problem::KeyAndSet)),
    ] {
        assert_eq!(refused_jwk(&with(es256(), &members)), expected, "{members:?}");
    }
    for curve in ["X25519", "X448", "Ed448", "P-256"] {
        let jwk = with(&made(Algorithm::EdDsa).public_jwk, &[("crv", json!(curve))]);
        assert_eq!(refused_jwk(&jwk), at("crv", Problem::OkpCurve), "{curve}");
    }
}

#[test]
fn key_ids_that_could_not_stand_in_a_header() {
    for id in ["", "a b", "a\"b", "a\\b", "ä", "a\u{7f}", "a\n", &"k".repeat(129)] {
        let (path, problem) = refused_jwk(&with(es256(), &[("kid", json!(id))]));
        assert!(path == "kid" && matches!(problem, Problem::KeyId(_)), "{id}: {problem}");
    }
    assert_eq!(
        refused_jwk(&with(es256(), &[("kid", Value::Null), ("kid", json!(1))])),
        at("kid", Problem::NotText)
    );
    let longest = with(es256(), &[("kid", json!("!~".repeat(64)))]);
    assert!(crate::import::import(Source::Jwk(&longest.to_string()), None).is_ok());
}

#[test]
fn the_algorithm_that_the_caller_says() {
    let jwk = with(es256(), &[("alg", json!("ES256"))]).to_string();
    let said = |algorithm| refused(Source::Jwk(&jwk), Some(algorithm));
    let contradicts =
        |requested| at("", Problem::AlgorithmContradicts { declared: Algorithm::Es256, requested });
    assert_eq!(said(Algorithm::Es384), contradicts(Algorithm::Es384));
    assert_eq!(said(Algorithm::Hs256), contradicts(Algorithm::Hs256));

    let rsa = made(Algorithm::Rs256).public_jwk.to_string();
    let (_, problem) = refused(Source::Jwk(&rsa), None);
    let fitting = [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512];
    let fitting = fitting.into_iter().chain([Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512]);
    assert_eq!(problem, Problem::AlgorithmNeeded(Choice(fitting.collect())));
    assert!(problem.to_string().ends_with("may be for RS256, RS384, RS512, PS256, PS384, PS512"));
    let unfit = at("", Problem::AlgorithmUnfit(Algorithm::Hs256));
    assert_eq!(refused(Source::Jwk(&rsa), Some(Algorithm::Hs256)), unfit);
}

#[test]
fn bytes_that_are_spelled_otherwise() {
    let x = es256()["x"].as_str().unwrap();
    // 32 bytes leave two bits of the last character unused.
    let last = x.chars().last().unwrap();
    let next = char::from(u8::try_from(last).unwrap() + 1);
    let unused_bits = format!("{}{next}", x.strip_suffix(last).unwrap());
    for text in [format!("{x}="), format!(" {x}"), unused_bits, "++//".to_owned(), x.repeat(3)] {
        assert_eq!(refused_jwk(&with(es256(), &[("x", json!(text))])), at("x", Problem::Base64), "{text}");
    }
}

#[test]
fn points_that_are_not_on_their_curve() {
    let x = unb64(&es256()["x"]);
    let mut other = x.clone();
    other[31] ^= 1;
    let jwk = |name, bytes: &[u8]| refused_jwk(&with(es256(), &[(name, json!(b64(bytes)))]));
    assert_eq!(jwk("y", &other), at("x", Problem::PointOffCurve));
    assert_eq!(jwk("y", &[0; 32]), at("x", Problem::PointOffCurve));
    assert_eq!(jwk("x", &x[1..]), at("x", Problem::Length(32)));
    assert_eq!(jwk("x", &[&[0], x.as_slice()].concat()), at("x", Problem::Length(32)));
    assert_eq!(jwk("y", &[]), at("y", Problem::Length(32)));
    // A key of P-384 that says it is one of P-256.
    let p384 = with(&made(Algorithm::Es384).public_jwk, &[("crv", json!("P-256"))]);
    assert_eq!(refused_jwk(&p384), at("x", Problem::Length(32)));

    // The point whose x is zero is good; the same x as the field's prime is not.
    let y = "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4";
    let prime = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
    let point = |x: &[u8]| with(es256(), &[("x", json!(b64(x))), ("y", json!(b64(hex(y))))]);
    assert!(crate::import::import(Source::Jwk(&point(&[0; 32]).to_string()), None).is_ok());
    assert_eq!(refused_jwk(&point(&hex(prime))), at("x", Problem::PointOffCurve));
}

#[test]
fn points_of_ed25519_that_no_private_key_has() {
    let good = &made(Algorithm::EdDsa).public_jwk;
    let jwk = |bytes: &[u8]| refused_jwk(&with(good, &[("x", json!(b64(bytes)))]));
    for point in EIGHT_TORSION {
        assert_eq!(jwk(point.compress().as_bytes()), at("x", Problem::PointSmallOrder));
    }
    // y = 2 is on no point.
    let mut two = [0; 32];
    two[0] = 2;
    assert_eq!(jwk(&two), at("x", Problem::PointOffCurve));
    // y = 3 spelled as 2^255 - 19 + 3, and the neutral point with the sign of a zero.
    let mut three = [0xff; 32];
    (three[0], three[31]) = (0xf0, 0x7f);
    assert_eq!(jwk(&three), at("x", Problem::PointNotCanonical));
    let mut minus_zero = [0; 32];
    (minus_zero[0], minus_zero[31]) = (1, 0x80);
    assert_eq!(jwk(&minus_zero), at("x", Problem::PointNotCanonical));
    // A good point and one of order eight together.
    let bytes: [u8; 32] = unb64(&good["x"]).try_into().unwrap();
    let mixed = CompressedEdwardsY(bytes).decompress().unwrap() + EIGHT_TORSION[1];
    assert_eq!(jwk(mixed.compress().as_bytes()), at("x", Problem::PointMixedOrder));
    assert_eq!(jwk(&bytes[1..]), at("x", Problem::Length(32)));
}

#[test]
fn moduli_and_exponents_of_rsa() {
    let good = with(&made(Algorithm::Rs256).public_jwk, &[("alg", json!("RS256"))]);
    let n = unb64(&good["n"]);
    let modulus = |bytes: &[u8]| refused_jwk(&with(&good, &[("n", json!(b64(bytes)))]));
    assert_eq!(modulus(&n[..128]), at("n", Problem::RsaTooSmall));
    // One bit less than 2,048.
    let mut shorter = n.clone();
    shorter[0] = 0x7f;
    assert_eq!(modulus(&shorter), at("n", Problem::RsaTooSmall));
    assert_eq!(modulus(&[1; 1025]), at("n", Problem::RsaTooLarge));
    let mut even = n.clone();
    even[255] ^= 1;
    assert_eq!(modulus(&even), at("n", Problem::RsaEven));
    // 2^2048 - 1 is a multiple of 3.
    assert_eq!(modulus(&[0xff; 256]), at("n", Problem::RsaSmallFactor));
    assert_eq!(modulus(&[&[0], n.as_slice()].concat()), at("n", Problem::Number));
    assert_eq!(modulus(&[]), at("n", Problem::Number));

    let exponent = |bytes: &[u8]| refused_jwk(&with(&good, &[("e", json!(b64(bytes)))]));
    for bytes in [&[1][..], &[3], &[0xff, 0xff], &[1, 0, 0], &[1, 0, 2], &[1, 0, 0, 0, 1], &[0xff; 256]] {
        assert_eq!(exponent(bytes), at("e", Problem::RsaExponent), "{bytes:?}");
    }
    assert_eq!(exponent(&[0, 1, 0, 1]), at("e", Problem::Number));
    let largest = with(&good, &[("e", json!(b64([0xff; 4])))]);
    assert!(crate::import::import(Source::Jwk(&largest.to_string()), None).is_ok());
}

#[test]
fn keys_of_ml_dsa() {
    let good = &made(Algorithm::MlDsa65).public_jwk;
    let public = unb64(&good["pub"]);
    for (members, expected) in [
        (vec![("alg", Value::Null)], at("alg", Problem::Missing)),
        (vec![("alg", json!("ES256"))], at("alg", Problem::AlgorithmUnfit(Algorithm::Es256))),
        (vec![("alg", json!("ML-DSA-44"))], at("pub", Problem::Length(1312))),
        (vec![("pub", Value::Null)], at("pub", Problem::Missing)),
        (vec![("pub", json!(b64(&public[1..])))], at("pub", Problem::Length(1952))),
        (vec![("priv", json!(b64([0; 31])))], at("priv", Problem::Length(32))),
        // The expanded key has no place in a JWK (RFC 9964).
        (vec![("priv", json!(b64(vec![0; 4032])))], at("priv", Problem::Length(32))),
    ] {
        assert_eq!(refused_jwk(&with(good, &members)), expected);
    }
}

fn hex(digits: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    digits.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

//! PEM that is refused, each for its own reason.

use pkcs8::{
    ObjectIdentifier,
    der::{AnyRef, Encode as _, Tag},
};

use super::{
    made::{bits, made, pem, pkcs8, spki},
    refused, refused_pem,
};
use crate::{
    Algorithm,
    import::{
        Source,
        problem::{Choice, Problem},
    },
};

const EC: &str = "1.2.840.10045.2.1";
const RSA: &str = "1.2.840.113549.1.1.1";

#[test]
fn texts_that_are_not_one_block() {
    let key = pem("PUBLIC KEY", &made(Algorithm::Es256).spki);
    let parameters =
        pem("EC PARAMETERS", &ObjectIdentifier::new("1.2.840.10045.3.1.7").unwrap().to_der().unwrap());
    for (text, expected) in [
        (String::new(), Problem::PemMissing),
        (made(Algorithm::Es256).jwk.to_string(), Problem::PemMissing),
        (format!("{key}{key}"), Problem::PemSeveral),
        (format!("{key}{key}{key}"), Problem::PemSeveral),
        // Parameters belong to a private key of SEC 1 only.
        (format!("{parameters}{key}"), Problem::PemSeveral),
        (format!("{key}{parameters}"), Problem::PemSeveral),
        (parameters, Problem::PemLabel),
        (key.replace("-----END PUBLIC", "-----END PRIVATE"), Problem::PemMalformed),
        (key.replace("-----END", "-----"), Problem::PemMalformed),
        (key.replacen("MF", "M\u{a0}F", 1), Problem::PemMalformed),
        (key.replacen("MF", "M=F", 1), Problem::PemMalformed),
        (key.replacen("==", "=", 1), Problem::PemMalformed),
        (key.replacen("MF", "M*", 1), Problem::PemMalformed),
        ("-----BEGIN ".to_owned(), Problem::PemMalformed),
    ] {
        assert_eq!(refused_pem(&text), expected, "{text}");
    }
}

#[test]
fn blocks_that_hold_something_else() {
    let private = pem("PRIVATE KEY", &made(Algorithm::Rs256).pkcs8);
    let relabelled = |label: &str| private.replace("PRIVATE KEY", label);
    assert_eq!(refused_pem(&relabelled("ENCRYPTED PRIVATE KEY")), Problem::PemEncrypted);
    let header = "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMII";
    let legacy = relabelled("RSA PRIVATE KEY").replacen("-----\nMII", header, 1);
    assert_eq!(refused_pem(&legacy), Problem::PemEncrypted);
    assert_eq!(refused_pem(&relabelled("CERTIFICATE")), Problem::PemCertificate);
    for label in ["CERTIFICATE REQUEST", "OPENSSH PRIVATE KEY", "DSA PRIVATE KEY", "KEY"] {
        assert_eq!(refused_pem(&relabelled(label)), Problem::PemLabel, "{label}");
    }
    for label in ["PUBLIC KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "RSA PUBLIC KEY"] {
        assert_eq!(refused_pem(&relabelled(label)), Problem::Der, "{label}");
    }
}

#[test]
fn keys_with_something_after_them_or_missing() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::MlDsa44] {
        for (label, der) in [("PRIVATE KEY", &made(algorithm).pkcs8), ("PUBLIC KEY", &made(algorithm).spki)] {
            let more = [der.as_slice(), &[0]].concat();
            assert_eq!(refused_pem(&pem(label, &more)), Problem::Der, "{algorithm}");
            assert_eq!(refused_pem(&pem(label, &der[..der.len() - 1])), Problem::Der, "{algorithm}");
        }
    }
}

#[test]
fn kinds_that_nobody_here_uses() {
    let point = bits(&made(Algorithm::Es256).spki);
    let public =
        |oid: &str, parameters: Option<AnyRef<'_>>| pem("PUBLIC KEY", &spki(oid, parameters, &point));
    for curve in ["1.3.132.0.10", "1.3.132.0.35", "1.2.840.10045.3.1.1"] {
        let curve = ObjectIdentifier::new(curve).unwrap();
        assert_eq!(refused_pem(&public(EC, Some((&curve).into()))), Problem::EcCurve, "{curve}");
    }
    // X25519, X448, Ed448.
    for oid in ["1.3.101.110", "1.3.101.111", "1.3.101.113"] {
        assert_eq!(refused_pem(&public(oid, None)), Problem::OkpCurve, "{oid}");
        let private = pem("PRIVATE KEY", &pkcs8(oid, None, &[4, 1, 0], None));
        assert_eq!(refused_pem(&private), Problem::OkpCurve, "{oid}");
    }
    // RSA for PSS only, DSA, ML-KEM-768, HashML-DSA-65.
    for oid in
        ["1.2.840.113549.1.1.10", "1.2.840.10040.4.1", "2.16.840.1.101.3.4.4.2", "2.16.840.1.101.3.4.3.33"]
    {
        assert_eq!(refused_pem(&public(oid, None)), Problem::KindUnknown, "{oid}");
    }
}

#[test]
fn parameters_that_should_be_others() {
    let spelled_out = AnyRef::new(Tag::Sequence, &[2, 1, 1]).unwrap();
    let made_ec = bits(&made(Algorithm::Es256).spki);
    let ec = |parameters| refused_pem(&pem("PUBLIC KEY", &spki(EC, parameters, &made_ec)));
    assert_eq!(ec(Some(spelled_out)), Problem::CurveUnnamed);
    assert_eq!(ec(None), Problem::CurveUnnamed);
    // The same in SEC 1: version, number, and under [0] a sequence.
    let sec1 = [0x30, 13, 2, 1, 1, 4, 1, 7, 0xa0, 5, 0x30, 3, 2, 1, 1];
    assert_eq!(refused_pem(&pem("EC PRIVATE KEY", &sec1)), Problem::CurveUnnamed);
    let rsa = spki(RSA, Some(spelled_out), &bits(&made(Algorithm::Rs256).spki));
    assert_eq!(refused_pem(&pem("PUBLIC KEY", &rsa)), Problem::Der);
    let ed = spki("1.3.101.112", Some(AnyRef::NULL), &bits(&made(Algorithm::EdDsa).spki));
    assert_eq!(refused_pem(&pem("PUBLIC KEY", &ed)), Problem::Der);
}

#[test]
fn public_halves_that_are_not_sound() {
    let curve = ObjectIdentifier::new("1.2.840.10045.3.1.7").unwrap();
    let ec = |bytes: &[u8]| refused_pem(&pem("PUBLIC KEY", &spki(EC, Some((&curve).into()), bytes)));
    let point = bits(&made(Algorithm::Es256).spki);
    let mut off = point.clone();
    off[64] ^= 1;
    assert_eq!(ec(&off), Problem::PointOffCurve);
    assert_eq!(ec(&point[..64]), Problem::Length(32));
    assert_eq!(ec(&[&[2], &point[1..33]].concat()), Problem::PointForm);
    assert_eq!(ec(&[0]), Problem::PointForm, "the point at infinity");
    assert_eq!(ec(&bits(&made(Algorithm::Es384).spki)), Problem::Length(32));

    let bare = |oid: &str, bytes: &[u8]| refused_pem(&pem("PUBLIC KEY", &spki(oid, None, bytes)));
    assert_eq!(bare("1.3.101.112", &[0; 32]), Problem::PointSmallOrder);
    assert_eq!(bare("1.3.101.112", &[0; 31]), Problem::Length(32));
    assert_eq!(bare("2.16.840.1.101.3.4.3.17", &[0; 1311]), Problem::Length(1312));
    assert_eq!(bare(RSA, &[0x30, 0]), Problem::Der);
}

#[test]
fn the_algorithm_that_the_caller_says() {
    let ec = pem("PRIVATE KEY", &made(Algorithm::Es256).pkcs8);
    for algorithm in [Algorithm::Es384, Algorithm::EdDsa, Algorithm::Hs256] {
        let (path, problem) = refused(Source::Pem(&ec), Some(algorithm));
        assert_eq!((path.as_str(), problem), ("", Problem::AlgorithmUnfit(algorithm)));
    }
    let ml_dsa = pem("PRIVATE KEY", &made(Algorithm::MlDsa44).pkcs8);
    let (_, problem) = refused(Source::Pem(&ml_dsa), Some(Algorithm::MlDsa65));
    assert_eq!(problem, Problem::AlgorithmUnfit(Algorithm::MlDsa65));
    let rsa = refused_pem(&pem("PRIVATE KEY", &made(Algorithm::Rs256).pkcs8));
    assert!(matches!(rsa, Problem::AlgorithmNeeded(Choice(fitting)) if fitting.len() == 6));
}

#[test]
fn material_without_measure() {
    let (longest, long) = ("a".repeat(64 * 1024), "a".repeat(64 * 1024 + 1));
    for source in [Source::Pem(&long), Source::Jwk(&long), Source::Secret(long.as_bytes())] {
        assert_eq!(refused(source, Some(Algorithm::Hs256)).1, Problem::TooLarge);
    }
    assert_eq!(refused_pem(&longest), Problem::PemMissing);
}

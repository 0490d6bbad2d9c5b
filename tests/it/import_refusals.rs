//! Every refusal of ImportKey: where it points, what it says, and that it neither keeps nor tells anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use curve25519_dalek::{constants::EIGHT_TORSION, edwards::CompressedEdwardsY};
use pkcs8::{
    ObjectIdentifier,
    der::{Encode as _, asn1::BitStringRef},
    spki::SubjectPublicKeyInfoRef,
};
use sec1::EcPrivateKey;
use serde_json::{Value, json};
use tokend::{
    model::Algorithm,
    proto::v1::{ImportKeyRequest, KeyUsage, import_key_request::Material},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    forge::b64,
    harness::{TestServer, assert_refused},
    key_calls::{import, list},
    made_keys::{jwk_request, made, pem, pem_request, secret_request, verify_only, with},
};

/// An RSA key whose numbers all agree, but one of its factors is the product of two primes.
const COMPOSITE: &str = include_str!("../../crates/tokend-jose/src/import/tests/composite.jwk.json");

/// Stands where a refusal must not quote the request.
const MARK: &str = "MARKED-BY-THE-TEST";

/// A variant of `Problem`, or nothing; the field; and what is refused for it.
type Case = (&'static str, &'static str, ImportKeyRequest);

fn es256() -> &'static Value {
    &made(Algorithm::Es256).public_jwk
}

fn texts() -> Vec<Case> {
    let key = made(Algorithm::Es256).public_pem();
    let relabelled = |label: &str| pem_request(key.replace("PUBLIC KEY", label), "");
    let header = "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nM";
    let legacy = key.replace("PUBLIC KEY", "RSA PRIVATE KEY").replacen("-----\nM", header, 1);
    let long = "a".repeat(64 * 1024 + 1);
    vec![
        ("TooLarge", "pem", pem_request(long.as_str(), "")),
        ("TooLarge", "jwk_json", jwk_request(&json!({"kty": "oct", "k": long}))),
        ("TooLarge", "secret", secret_request(long, "HS256")),
        ("PemMissing", "pem", pem_request(es256().to_string(), "")),
        ("PemMalformed", "pem", pem_request(key.replace("-----END", "-----"), "")),
        ("PemEscaped", "pem", pem_request(key.replace('\n', r"\n"), "")),
        ("PemSeveral", "pem", pem_request(key.repeat(2), "")),
        ("PemEncrypted", "pem", relabelled("ENCRYPTED PRIVATE KEY")),
        ("PemEncrypted", "pem", pem_request(legacy, "RS256")),
        ("PemCertificate", "pem", relabelled("CERTIFICATE")),
        ("PemLabel", "pem", relabelled(MARK)),
        ("Der", "pem", relabelled("PRIVATE KEY")),
    ]
}

fn algorithms() -> Vec<Case> {
    let (rsa, ml_dsa) = (made(Algorithm::Rs256), &made(Algorithm::MlDsa44).public_jwk);
    let silent = with(&rsa.public_jwk, "alg", Value::Null);
    let said = |jwk: &Value, algorithm: &str| ImportKeyRequest {
        algorithm: algorithm.to_owned(),
        ..jwk_request(jwk)
    };
    vec![
        ("AlgorithmNeeded", "algorithm", pem_request(rsa.private_pem(), "")),
        ("AlgorithmNeeded", "algorithm", secret_request([7; 64], "")),
        ("AlgorithmNeeded", "algorithm", jwk_request(&json!({"keys": [es256(), silent]}))),
        ("AlgorithmUnknown", "jwk_json.alg", jwk_request(&with(es256(), "alg", MARK))),
        ("AlgorithmUnfit", "pem", pem_request(rsa.public_pem(), "HS256")),
        ("AlgorithmUnfit", "secret", secret_request([7; 64], "ES256")),
        ("AlgorithmUnfit", "jwk_json.alg", jwk_request(&with(ml_dsa, "alg", "ES256"))),
        ("AlgorithmContradicts", "jwk_json", said(es256(), "ES384")),
        ("AlgorithmContradicts", "jwk_json.keys[0]", said(&json!({"keys": [es256()]}), "HS256")),
    ]
}

fn forms_of_ec() -> Vec<Case> {
    let p256 = ObjectIdentifier::new("1.2.840.10045.3.1.7").unwrap();
    let p384 = ObjectIdentifier::new("1.3.132.0.34").unwrap().to_der().unwrap();
    let number = [7; 32];
    let sec1 = |named: bool| {
        let parameters = named.then(|| p256.into());
        let key = EcPrivateKey { private_key: &number, parameters, public_key: None };
        pem("EC PRIVATE KEY", &key.to_der().unwrap())
    };
    let both = format!("{}{}", pem("EC PARAMETERS", &p384), sec1(true));
    let spki = &made(Algorithm::Es256).spki;
    let info = SubjectPublicKeyInfoRef::try_from(spki.as_slice()).unwrap();
    let point = info.subject_public_key.as_bytes().unwrap();
    let compressed = [&[2 + point[64] % 2], &point[1..33]].concat();
    let subject_public_key = BitStringRef::from_bytes(&compressed).unwrap();
    let compressed = SubjectPublicKeyInfoRef { subject_public_key, ..info.clone() }.to_der().unwrap();
    let mut dsa = info.clone();
    dsa.algorithm.oid = ObjectIdentifier::new("1.2.840.10040.4.1").unwrap();
    vec![
        ("CurveUnnamed", "pem", pem_request(sec1(false), "")),
        ("CurvesDiffer", "pem", pem_request(both, "")),
        ("PointForm", "pem", pem_request(pem("PUBLIC KEY", &compressed), "")),
        ("KindUnknown", "pem", pem_request(pem("PUBLIC KEY", &dsa.to_der().unwrap()), "")),
    ]
}

fn members() -> Vec<Case> {
    let jwk = |name, value: Value| jwk_request(&with(es256(), name, value));
    let twice = es256().to_string().replacen('{', &format!(r#"{{"{MARK}":1,"{MARK}":2,"#), 1);
    let twice = ImportKeyRequest { material: Some(Material::JwkJson(twice)), ..Default::default() };
    vec![
        ("Json", "jwk_json", twice),
        ("KeyAndSet", "jwk_json", jwk("keys", json!([]))),
        ("Missing", "jwk_json.y", jwk("y", Value::Null)),
        ("NotText", "jwk_json.x", jwk("x", json!([MARK]))),
        ("Base64", "jwk_json.x", jwk("x", json!(format!("{MARK}*")))),
        ("KeyType", "jwk_json.kty", jwk("kty", json!(MARK))),
        ("KeyId", "jwk_json.kid", jwk("kid", json!(format!("{MARK} ")))),
        ("Use", "jwk_json.use", jwk("use", json!(MARK))),
        ("KeyOps", "jwk_json.key_ops", jwk("key_ops", json!([MARK, MARK]))),
        ("KeyOpsUnfit", "jwk_json.key_ops", jwk("key_ops", json!(["sign", MARK]))),
        ("EcCurve", "jwk_json.crv", jwk("crv", json!(MARK))),
        ("Length", "jwk_json.x", jwk("x", json!(b64([1; 31])))),
        ("PointOffCurve", "jwk_json.x", jwk("y", json!(b64([1; 32])))),
    ]
}

fn sets() -> Vec<Case> {
    let set = |keys: Value| jwk_request(&json!({"keys": keys}));
    let (one, two) = (with(es256(), "kid", "a"), with(&made(Algorithm::Es384).public_jwk, "kid", "b"));
    let secret = json!({"kty": "oct", "alg": "HS256", "k": b64([7; 64])});
    let rsa = with(&made(Algorithm::Rs256).public_jwk, "n", b64([1; 256]));
    vec![
        ("SetNotList", "jwk_json.keys", set(json!(MARK))),
        ("SetEmpty", "jwk_json.keys", set(json!([]))),
        ("SetTooLong", "jwk_json.keys", set(json!(vec![&one; 33]))),
        ("SetMember", "jwk_json.keys[1]", set(json!([one, MARK]))),
        ("SetMixed", "jwk_json.keys[1]", set(json!([one, secret]))),
        ("SetPrivate", "jwk_json.keys[1]", set(json!([one, made(Algorithm::EdDsa).jwk]))),
        ("SetDuplicate", "jwk_json.keys[1].kid", set(json!([one, with(&two, "kid", "a")]))),
        ("SetSameKey", "jwk_json.keys[2]", set(json!([one, two, with(&one, "kid", "c")]))),
        ("SetSameKey", "jwk_json.keys[1]", set(json!([secret, with(&secret, "alg", "HS384")]))),
        ("RsaTooSmall", "jwk_json.keys[0].n", set(json!([rsa]))),
    ]
}

fn unsound() -> Vec<Case> {
    let ed = &made(Algorithm::EdDsa).public_jwk;
    let x = |bytes: &[u8]| jwk_request(&with(ed, "x", b64(bytes)));
    let good: [u8; 32] = made(Algorithm::EdDsa).spki[12..].try_into().unwrap();
    let mixed = CompressedEdwardsY(good).decompress().unwrap() + EIGHT_TORSION[1];
    // y = 3 spelled as 2^255 - 19 + 3.
    let mut three = [0xff; 32];
    (three[0], three[31]) = (0xf0, 0x7f);

    let rsa = &made(Algorithm::Rs256).jwk;
    let public = &made(Algorithm::Rs256).public_jwk;
    let private = |name, value: Value| jwk_request(&with(rsa, name, value));
    let number = |name, bytes: &[u8]| jwk_request(&with(public, name, b64(bytes)));
    let ec = &made(Algorithm::Es256).jwk;
    vec![
        ("OkpCurve", "jwk_json.crv", jwk_request(&with(ed, "crv", "Ed448"))),
        ("PointNotCanonical", "jwk_json.x", x(&three)),
        ("PointSmallOrder", "jwk_json.x", x(EIGHT_TORSION[3].compress().as_bytes())),
        ("PointMixedOrder", "jwk_json.x", x(mixed.compress().as_bytes())),
        ("Number", "jwk_json.e", number("e", &[0, 1, 0, 1])),
        ("RsaTooSmall", "jwk_json.n", number("n", &[0xfb; 255])),
        ("RsaTooLarge", "jwk_json.n", number("n", &[1; 1025])),
        ("RsaEven", "jwk_json.n", number("n", &[0xfe; 256])),
        // 2^2048 - 1 is a multiple of 3.
        ("RsaSmallFactor", "jwk_json.n", number("n", &[0xff; 256])),
        ("RsaExponent", "jwk_json.e", number("e", &[3])),
        ("RsaMultiPrime", "jwk_json.oth", private("oth", json!([{"r": "AQ"}]))),
        ("RsaIncomplete", "jwk_json", private("qi", Value::Null)),
        ("HalvesDiffer", "jwk_json", private("d", made(Algorithm::Ps256).jwk["d"].clone())),
        ("DoesNotSign", "jwk_json", jwk_request(&serde_json::from_str(COMPOSITE).unwrap())),
        ("PrivateNumber", "jwk_json", jwk_request(&with(ec, "d", b64([0xff; 32])))),
        ("SecretTooShort", "secret", secret_request([7; 31], "HS256")),
        (
            "SecretTooShort",
            "jwk_json.k",
            jwk_request(&json!({"kty": "oct", "alg": "HS512", "k": b64([7; 63])})),
        ),
        ("SecretIsKey", "secret", secret_request(made(Algorithm::Rs256).public_pem(), "HS256")),
        ("SecretIsKey", "secret", secret_request(made(Algorithm::Rs256).spki.as_slice(), "HS256")),
    ]
}

/// What the rest of the request is refused for.
fn terms() -> Vec<Case> {
    let private = || jwk_request(&made(Algorithm::EdDsa).jwk);
    let sign = |request| ImportKeyRequest { usage: KeyUsage::SignAndVerify.into(), ..request };
    let named = |request| ImportKeyRequest { key_id: "named".to_owned(), ..request };
    let foreign = |request, issuer: &str| ImportKeyRequest { issuer: issuer.to_owned(), ..request };
    let set = || jwk_request(&json!({"keys": [es256(), made(Algorithm::Es384).public_jwk]}));
    let verifies = with(&made(Algorithm::EdDsa).jwk, "key_ops", json!(["verify"]));
    vec![
        ("", "material", ImportKeyRequest::default()),
        ("", "request_id", ImportKeyRequest { request_id: MARK.to_owned(), ..private() }),
        ("", "algorithm", ImportKeyRequest { algorithm: MARK.to_owned(), ..private() }),
        ("", "key_id", ImportKeyRequest { key_id: format!("{MARK} "), ..private() }),
        ("", "usage", ImportKeyRequest { usage: 7, ..private() }),
        ("", "issuer", foreign(verify_only(private()), &format!("{MARK}\n"))),
        ("", "key_id", named(set())),
        ("", "usage", sign(set())),
        ("", "issuer", foreign(sign(private()), "https://other.example")),
        ("", "usage", sign(jwk_request(&verifies))),
        ("", "usage", sign(jwk_request(es256()))),
    ]
}

#[tokio::test]
async fn each_refusal_names_its_field_and_keeps_and_tells_nothing() {
    let server = TestServer::start().await;
    let before = server.store.keys().await.unwrap().keys;
    let texts_of = variants();
    let (mut met, mut said) = (BTreeSet::new(), BTreeSet::new());
    let cases = [texts(), algorithms(), forms_of_ec(), members(), sets(), unsound(), terms()].concat();
    for (problem, field, request) in cases {
        let answer = import(&server, request.clone()).await;
        let status = assert_refused(answer, Code::InvalidArgument, "FIELD_INVALID");
        let [(found, description)] = violations(&status).try_into().unwrap();
        assert_eq!(found, field, "{problem}: {description}");
        // The words are those of this variant and of no other.
        if !problem.is_empty() {
            let matching = texts_of.iter().filter(|(_, text)| says(text, &description));
            let matching: Vec<&str> = matching.map(|(name, _)| name.as_str()).collect();
            let has_text = !["Json", "KeyId"].contains(&problem);
            assert_eq!(matching, if has_text { vec![problem] } else { vec![] }, "{description}");
        }
        tells_nothing(&status, &request);
        met.insert(problem);
        said.insert(description);
    }
    assert!(server.store.keys().await.unwrap().keys == before, "nothing is stored");

    // Those that are in the source, and are met here. All of them can be reached by a call.
    met.remove("");
    let all: BTreeSet<&str> = texts_of.keys().map(String::as_str).collect();
    assert!(all.len() > 40, "{all:?}");
    assert_eq!(met, all);
    let operations = read("src/keys/operations.rs");
    let texts: BTreeSet<&str> = operations.split('"').filter(|text| text.starts_with("must ")).collect();
    assert!(texts.len() >= 4, "{texts:?}");
    for text in texts {
        assert!(said.contains(text), "no test meets: {text}");
    }
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_request_is_named_at_once() {
    let server = TestServer::start().await;
    let request = ImportKeyRequest {
        key_id: "a b".to_owned(),
        algorithm: "none".to_owned(),
        usage: 7,
        issuer: "\n".to_owned(),
        request_id: "x".to_owned(),
        ..jwk_request(&json!({"keys": [{"kty": "XYZ"}, {"kty": "EC", "crv": "P-521"}]}))
    };
    let status = assert_refused(import(&server, request).await, Code::InvalidArgument, "FIELD_INVALID");
    let fields: Vec<String> = violations(&status).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["request_id", "algorithm", "key_id", "usage", "issuer", "jwk_json.keys[0].kty"]);
}

#[tokio::test]
async fn a_key_that_is_there_already_is_told_from_a_fresh_one_in_every_form() {
    let server = TestServer::start().await;
    let ec = made(Algorithm::Es256);
    import(&server, pem_request(ec.private_pem(), "")).await.unwrap();
    import(&server, secret_request([7; 64], "HS256")).await.unwrap();
    let kid = |jwk: &Value| with(jwk, "kid", "another");
    let again = [
        jwk_request(&kid(&ec.jwk)),
        verify_only(jwk_request(&kid(&ec.public_jwk))),
        pem_request(ec.public_pem(), ""),
        jwk_request(&json!({"keys": [made(Algorithm::Es384).public_jwk, kid(&ec.public_jwk)]})),
        secret_request([7; 64], "HS512"),
        jwk_request(&json!({"kty": "oct", "alg": "HS256", "k": b64([7; 64])})),
    ];
    let before = list(&server).await;
    for request in again {
        let answer = import(&server, request.clone()).await;
        let status = assert_refused(answer, Code::AlreadyExists, "KEY_ALREADY_EXISTS");
        tells_nothing(&status, &request);
    }
    assert_eq!(list(&server).await, before);
}

fn violations(status: &Status) -> Vec<(String, String)> {
    let details = status.get_details_bad_request().unwrap().field_violations;
    details.into_iter().map(|violation| (violation.field, violation.description)).collect()
}

/// Nothing of what was sent stands in the answer: no mark, and no piece of 16 characters or more.
fn tells_nothing(status: &Status, request: &ImportKeyRequest) {
    let details = String::from_utf8_lossy(status.details());
    let told = format!("{} {details} {:?}", status.message(), status.metadata());
    assert!(!told.contains(MARK), "{told}");
    let text = match &request.material {
        Some(Material::Pem(text) | Material::JwkJson(text)) => text.clone(),
        Some(Material::Secret(bytes)) => format!("{} {}", STANDARD.encode(bytes), b64(bytes)),
        None => String::new(),
    };
    let piece = |text: &str| text.len() >= 16 && !text.contains("---");
    let byte = |character: char| !character.is_ascii_alphanumeric() && !"+/_-".contains(character);
    for piece in text.split(byte).filter(|text| piece(text)) {
        assert!(!told.contains(piece), "{told}");
    }
}

/// The variants of `Problem` with their texts, from the source.
fn variants() -> BTreeMap<String, String> {
    let source = read("crates/tokend-jose/src/import/problem.rs");
    let (_, variants) = source.split_once("enum Problem {").unwrap();
    let (variants, _) = variants.split_once("\n}\n").unwrap();
    let found = variants.split("#[error(").skip(1).map(|variant| {
        let (text, rest) = variant.split_once(")]").unwrap();
        let name: String = rest.trim_start().chars().take_while(char::is_ascii_alphanumeric).collect();
        (name, text.trim().trim_matches('"').to_owned())
    });
    found.collect()
}

/// Whether a description is this text, with something in place of what stands in braces. A text that is nothing else says
/// nothing.
fn says(text: &str, description: &str) -> bool {
    let mut parts = text.split('{').map(|part| part.rsplit('}').next().unwrap());
    let Some(mut rest) = parts.next().and_then(|first| description.strip_prefix(first)) else { return false };
    let mut last = text;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = part;
    }
    !text.starts_with("{0}") && (rest.is_empty() || last.is_empty())
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

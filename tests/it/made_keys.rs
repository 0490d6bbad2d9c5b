//! Keys from elsewhere: made by aws-lc, in the forms in which keys come, and what asks for their import.

use std::sync::OnceLock;

use aws_lc_rs::{
    encoding::{AsBigEndian as _, AsDer as _},
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair, RsaKeyPair,
    },
};
use pkcs1::RsaPrivateKeyRef;
use pkcs8::{
    PrivateKeyInfoRef,
    der::pem::{LineEnding, encode_string},
};
use serde_json::{Value, json};
use tokend::{
    model::Algorithm,
    proto::v1::{ImportKeyRequest, KeyUsage, import_key_request::Material},
};

use crate::forge::{PrivateKey, b64};

/// A key pair that tokend did not make.
pub struct MadeKey {
    pub algorithm: Algorithm,
    pub pkcs8: Vec<u8>,
    pub spki: Vec<u8>,
    /// The private JWK, with `alg` and no `kid`.
    pub jwk: Value,
    pub public_jwk: Value,
}

/// The key for `algorithm`, of which there is one for all tests.
pub fn made(algorithm: Algorithm) -> &'static MadeKey {
    static MADE: [OnceLock<MadeKey>; Algorithm::ALL.len()] =
        [const { OnceLock::new() }; Algorithm::ALL.len()];
    let index = Algorithm::ALL.iter().position(|other| *other == algorithm).unwrap();
    MADE[index].get_or_init(|| make(algorithm))
}

/// Algorithms whose keys have a public half.
pub fn asymmetric() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric())
}

/// Another key for `algorithm`.
pub fn make(algorithm: Algorithm) -> MadeKey {
    let ec = |method, curve: &str| {
        let pair = EcdsaKeyPair::generate(method).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
        let public = json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)});
        let d = pair.private_key().as_be_bytes().unwrap();
        let spki = pair.public_key().as_der().unwrap().as_ref().to_vec();
        (pair.to_pkcs8v1().unwrap().as_ref().to_vec(), spki, public, json!({"d": b64(d.as_ref())}))
    };
    let ml_dsa = |method| {
        let seed: [u8; 32] =
            aws_lc_rs::rand::generate(&aws_lc_rs::rand::SystemRandom::new()).unwrap().expose();
        let pair = PqdsaKeyPair::from_seed(method, &seed).unwrap();
        let public = json!({"kty": "AKP", "pub": b64(pair.public_key())});
        let spki = pair.public_key().as_der().unwrap().as_ref().to_vec();
        (pair.to_pkcs8v1().unwrap().as_ref().to_vec(), spki, public, json!({"priv": b64(seed)}))
    };
    let (pkcs8, spki, public, private) = match algorithm {
        Algorithm::Es256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        Algorithm::Es384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let public = json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key())});
            let d = pair.seed().unwrap().as_be_bytes().unwrap();
            let spki = pair.public_key().as_der().unwrap().as_ref().to_vec();
            (pair.to_pkcs8v1().unwrap().as_ref().to_vec(), spki, public, json!({"d": b64(d.as_ref())}))
        }
        Algorithm::MlDsa44 => ml_dsa(&ML_DSA_44_SIGNING),
        Algorithm::MlDsa65 => ml_dsa(&ML_DSA_65_SIGNING),
        Algorithm::MlDsa87 => ml_dsa(&ML_DSA_87_SIGNING),
        algorithm if algorithm.is_symmetric() => panic!("a secret has one form only"),
        _ => rsa(),
    };
    let public_jwk = with(&with(&public, "alg", algorithm.name()), "use", "sig");
    let mut jwk = public_jwk.clone();
    jwk.as_object_mut().unwrap().extend(private.as_object().unwrap().clone());
    MadeKey { algorithm, pkcs8, spki, jwk, public_jwk }
}

fn rsa() -> (Vec<u8>, Vec<u8>, Value, Value) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8 = pair.as_der().unwrap().as_ref().to_vec();
    let info = PrivateKeyInfoRef::try_from(pkcs8.as_slice()).unwrap();
    let key = RsaPrivateKeyRef::try_from(info.private_key.as_bytes()).unwrap();
    let public = json!({
        "kty": "RSA", "n": b64(key.modulus.as_bytes()), "e": b64(key.public_exponent.as_bytes()),
    });
    let private = json!({
        "d": b64(key.private_exponent.as_bytes()), "p": b64(key.prime1.as_bytes()),
        "q": b64(key.prime2.as_bytes()), "dp": b64(key.exponent1.as_bytes()),
        "dq": b64(key.exponent2.as_bytes()), "qi": b64(key.coefficient.as_bytes()),
    });
    let spki = pair.public_key().as_der().unwrap().as_ref().to_vec();
    (pkcs8, spki, public, private)
}

impl MadeKey {
    /// A token with this payload, signed outside of tokend.
    pub fn token(&self, kid: &str, payload: &Value) -> String {
        token(self.algorithm, &self.pkcs8, kid, payload)
    }

    pub fn private_pem(&self) -> String {
        pem("PRIVATE KEY", &self.pkcs8)
    }

    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki)
    }
}

/// A token signed outside of tokend, with a secret or a key in PKCS#8.
pub fn token(algorithm: Algorithm, key: &[u8], kid: &str, payload: &Value) -> String {
    let input = signing_input(algorithm, kid, payload);
    let signature = PrivateKey::parse(algorithm, key).sign(algorithm, &input);
    format!("{input}.{signature}")
}

/// What is signed of a token.
pub fn signing_input(algorithm: Algorithm, kid: &str, payload: &Value) -> String {
    let header = json!({"alg": algorithm.name(), "kid": kid, "typ": "JWT"});
    format!("{}.{}", b64(header.to_string()), b64(payload.to_string()))
}

pub fn pem(label: &str, der: &[u8]) -> String {
    encode_string(label, LineEnding::LF, der).unwrap()
}

/// `jwk` with this member in place of its own; null takes it away.
pub fn with(jwk: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut changed = jwk.clone();
    let members = changed.as_object_mut().unwrap();
    match value.into() {
        Value::Null => drop(members.remove(name)),
        value => drop(members.insert(name.to_owned(), value)),
    }
    changed
}

pub fn pem_request(text: impl Into<String>, algorithm: &str) -> ImportKeyRequest {
    of(Material::Pem(text.into()), algorithm)
}

pub fn jwk_request(jwk: &Value) -> ImportKeyRequest {
    of(Material::JwkJson(jwk.to_string()), "")
}

pub fn secret_request(bytes: impl Into<Vec<u8>>, algorithm: &str) -> ImportKeyRequest {
    of(Material::Secret(bytes.into()), algorithm)
}

fn of(material: Material, algorithm: &str) -> ImportKeyRequest {
    ImportKeyRequest { material: Some(material), algorithm: algorithm.to_owned(), ..Default::default() }
}

/// The same, to verify only.
pub fn verify_only(request: ImportKeyRequest) -> ImportKeyRequest {
    ImportKeyRequest { usage: KeyUsage::VerifyOnly.into(), ..request }
}

//! Keys made for the tests, in the forms in which keys come.

use std::{collections::HashMap, sync::LazyLock};

use aws_lc_rs::{
    encoding::{AsBigEndian as _, AsDer as _},
    signature::{Ed25519KeyPair, KeyPair as _, PqdsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use pkcs1::RsaPrivateKeyRef;
use pkcs8::{
    AlgorithmIdentifierRef, ObjectIdentifier, PrivateKeyInfoRef,
    der::{
        AnyRef, Decode as _, Encode as _,
        asn1::{BitStringRef, OctetStringRef},
        pem::{LineEnding, encode_string},
    },
    spki::SubjectPublicKeyInfoRef,
};
use serde_json::{Value, json};

use super::with;
use crate::{Algorithm, KeyMaterial, PublicKey, material::ml_dsa_method};

pub(super) const SEED: [u8; 32] = [7; 32];

/// A key in every form.
pub(super) struct Made {
    pub(super) public_key: PublicKey,
    /// The private JWK, without `alg` but for ML-DSA.
    pub(super) jwk: Value,
    pub(super) public_jwk: Value,
    pub(super) pkcs8: Vec<u8>,
    pub(super) spki: Vec<u8>,
}

/// A key for `algorithm`, of which there is one for all tests. Two RSA algorithms have different keys.
pub(super) fn made(algorithm: Algorithm) -> &'static Made {
    static MADE: LazyLock<HashMap<Algorithm, Made>> = LazyLock::new(|| {
        let chosen =
            [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps512]
                .into_iter()
                .chain([Algorithm::MlDsa44, Algorithm::MlDsa65, Algorithm::MlDsa87]);
        chosen.map(|algorithm| (algorithm, make(algorithm))).collect()
    });
    &MADE[&algorithm]
}

/// Another key for `algorithm`.
pub(super) fn make(algorithm: Algorithm) -> Made {
    let bytes = KeyMaterial::generate(algorithm).unwrap();
    match KeyMaterial::parse(algorithm, &bytes).unwrap() {
        KeyMaterial::MlDsa(_) => {
            // From a seed that is known, for a JWK holds the seed.
            let seed: [u8; 32] = bytes[bytes.len() - 32..].try_into().unwrap();
            let pair = PqdsaKeyPair::from_seed(ml_dsa_method(algorithm), &seed).unwrap();
            describe(algorithm, &KeyMaterial::MlDsa(pair), &[("priv", &seed)])
        }
        KeyMaterial::Ec(pair) => {
            let number = pair.private_key().as_be_bytes().unwrap();
            describe(algorithm, &KeyMaterial::Ec(pair), &[("d", number.as_ref())])
        }
        KeyMaterial::Ed(pair) => {
            let seed = pair.seed().unwrap().as_be_bytes().unwrap();
            describe(algorithm, &KeyMaterial::Ed(pair), &[("d", seed.as_ref())])
        }
        KeyMaterial::Rsa(pair) => {
            let info = PrivateKeyInfoRef::try_from(bytes.as_slice()).unwrap();
            let key = RsaPrivateKeyRef::try_from(info.private_key.as_bytes()).unwrap();
            let members = [
                ("d", key.private_exponent),
                ("p", key.prime1),
                ("q", key.prime2),
                ("dp", key.exponent1),
                ("dq", key.exponent2),
                ("qi", key.coefficient),
            ];
            let members: Vec<(&str, &[u8])> =
                members.iter().map(|(name, number)| (*name, number.as_bytes())).collect();
            describe(algorithm, &KeyMaterial::Rsa(pair), &members)
        }
        KeyMaterial::Hmac(_) => panic!("a secret has one form only"),
    }
}

fn describe(algorithm: Algorithm, material: &KeyMaterial, private: &[(&str, &[u8])]) -> Made {
    let public_key = material.public_key(algorithm).unwrap();
    let public_jwk: Value = serde_json::from_str(&public_key.to_jwk()).unwrap();
    let private: Vec<(&str, Value)> =
        private.iter().map(|(name, bytes)| (*name, json!(b64(bytes)))).collect();
    let spki = match material {
        KeyMaterial::Ec(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        KeyMaterial::Ed(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        KeyMaterial::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        KeyMaterial::MlDsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        KeyMaterial::Hmac(_) => Vec::new(),
    };
    let pkcs8 = material.to_pkcs8().unwrap().to_vec();
    Made { public_key, jwk: with(&public_jwk, &private), public_jwk, pkcs8, spki }
}

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn unb64(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    encode_string(label, LineEnding::LF, der).unwrap()
}

/// The private key inside of PKCS#8: SEC 1 for EC, PKCS#1 for RSA.
pub(super) fn inside(pkcs8: &[u8]) -> Vec<u8> {
    PrivateKeyInfoRef::try_from(pkcs8).unwrap().private_key.as_bytes().to_vec()
}

/// PKCS#8 of these parts; of version 2 if there is a public half.
pub(super) fn pkcs8(oid: &str, parameters: Option<&str>, private: &[u8], public: Option<&[u8]>) -> Vec<u8> {
    let curve = parameters.map(|oid| ObjectIdentifier::new(oid).unwrap());
    let parameters = curve.as_ref().map(AnyRef::from);
    let algorithm = AlgorithmIdentifierRef { oid: ObjectIdentifier::new(oid).unwrap(), parameters };
    let mut info = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(private).unwrap());
    info.public_key = public.map(|bytes| BitStringRef::from_bytes(bytes).unwrap());
    info.to_der().unwrap()
}

/// SPKI of these parts.
pub(super) fn spki(oid: &str, parameters: Option<AnyRef<'_>>, public: &[u8]) -> Vec<u8> {
    let algorithm = AlgorithmIdentifierRef { oid: ObjectIdentifier::new(oid).unwrap(), parameters };
    let subject_public_key = BitStringRef::from_bytes(public).unwrap();
    SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().unwrap()
}

/// The bytes of a public key, out of SPKI.
pub(super) fn bits(spki: &[u8]) -> Vec<u8> {
    let info = SubjectPublicKeyInfoRef::from_der(spki).unwrap();
    info.subject_public_key.as_bytes().unwrap().to_vec()
}

/// An byte string, as DER.
pub(super) fn octet_string(bytes: &[u8]) -> Vec<u8> {
    OctetStringRef::new(bytes).unwrap().to_der().unwrap()
}

/// Ed25519 from [`SEED`] as PKCS#8 version 2.
pub(super) fn ed25519_v2() -> Vec<u8> {
    Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap().to_pkcs8().unwrap().as_ref().to_vec()
}

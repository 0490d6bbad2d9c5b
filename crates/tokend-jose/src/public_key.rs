//! Public keys: parsed and checked once, written as JWK (RFC 7517).

use std::sync::Arc;

use aws_lc_rs::{
    digest::{SHA256, digest},
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ML_DSA_44, ML_DSA_65, ML_DSA_87,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
        RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
        VerificationAlgorithm,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, EllipticCurveKeyType,
    Jwk, OctetKeyPairParameters, OctetKeyPairType, OtherKeyParameters, PublicKeyUse, RSAKeyParameters,
    RSAKeyType, ThumbprintHash,
};
use serde::Serialize;
use serde_json::Value;

use super::{json, key_type::KeyType, material_error::MaterialError, token::sorted};
use crate::{Algorithm, KeyId};

/// The bits of an RSA modulus: fewer are insecure (RFC 7518 section 3.3), more only cost time.
pub(super) const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public key for one algorithm. Cheap to clone.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    algorithm: Algorithm,
    /// The members that a JWK of this kind must have (RFC 7638 section 3.2), and no others.
    jwk: Jwk,
    key: ParsedPublicKey,
    signature_len: usize,
    /// An RSA key's modulus: its signatures, as numbers, are smaller.
    modulus: Option<Vec<u8>>,
}

/// The parts of a public key. Numbers are big-endian and without leading zeros.
#[derive(PartialEq, Eq)]
pub(super) enum Parts {
    Ec { x: Vec<u8>, y: Vec<u8> },
    Okp { x: Vec<u8> },
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Akp { public: Vec<u8> },
}

/// A public key as a JWK set holds it (RFC 7517 section 4).
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct PublicJwk {
    /// `alg`, typed.
    #[serde(skip)]
    pub algorithm: Algorithm,
    members: Value,
}

impl PublicKey {
    /// Reads a JWK exactly as [`Self::to_jwk`] writes it, for this algorithm.
    ///
    /// # Errors
    /// When `text` is anything else.
    pub fn from_jwk(algorithm: Algorithm, text: &str) -> Result<Self, MaterialError> {
        let unreadable = || MaterialError::Unreadable(algorithm);
        let members = json::object(text.as_bytes()).map_err(|_| unreadable())?;
        let bytes = |name: &str| {
            let text = members.get(name).and_then(Value::as_str).ok_or_else(unreadable)?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| unreadable())
        };
        let parts = match KeyType::of(algorithm) {
            KeyType::Ec => Parts::Ec { x: bytes("x")?, y: bytes("y")? },
            KeyType::Okp => Parts::Okp { x: bytes("x")? },
            KeyType::Rsa => Parts::Rsa { n: bytes("n")?, e: bytes("e")? },
            KeyType::Akp => Parts::Akp { public: bytes("pub")? },
            KeyType::Oct => return Err(unreadable()),
        };
        let key = Self::new(algorithm, &parts)?;
        // Also compares the key type and the curve, and finds further members.
        if sorted(&key.0.jwk) == Value::Object(members) { Ok(key) } else { Err(unreadable()) }
    }

    /// The key with these parts.
    pub(super) fn new(algorithm: Algorithm, parts: &Parts) -> Result<Self, MaterialError> {
        let (key, signature_len) = parse(algorithm, parts).ok_or(MaterialError::Unreadable(algorithm))?;
        let jwk = Jwk { common: CommonParameters::default(), algorithm: parameters(algorithm, parts) };
        let modulus = match parts {
            Parts::Rsa { n, .. } => Some(n.clone()),
            _ => None,
        };
        Ok(Self(Arc::new(Inner { algorithm, jwk, key, signature_len, modulus })))
    }

    /// The JWK with the required members only, in lexicographic order and without white space, so that its SHA-256 is the thumbprint.
    pub fn to_jwk(&self) -> String {
        sorted(&self.0.jwk).to_string()
    }

    /// The SHA-256 thumbprint (RFC 7638).
    pub fn thumbprint(&self) -> KeyId {
        // jsonwebtoken computes no thumbprints of AKP keys (RFC 9964).
        let of_ml_dsa = |_| URL_SAFE_NO_PAD.encode(digest(&SHA256, self.to_jwk().as_bytes()));
        KeyId::from_text(self.0.jwk.thumbprint(ThumbprintHash::SHA256).unwrap_or_else(of_ml_dsa))
    }

    /// The JWK for a published JWK set, with `alg`, `kid` and `use`.
    pub fn published(&self, key_id: &KeyId) -> PublicJwk {
        let algorithm = self.0.algorithm;
        let mut jwk = self.0.jwk.clone();
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_algorithm = jsonwebtoken::Algorithm::try_from(algorithm).ok().map(Into::into);
        jwk.common.key_id = Some(key_id.as_str().to_owned());
        PublicJwk { algorithm, members: sorted(&jwk) }
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// Whether `signature` has the form of signatures of this key. Other signatures are rejected without arithmetic.
    pub(super) fn could_have_made(&self, signature: &[u8]) -> bool {
        signature.len() == self.0.signature_len
            && self.0.modulus.as_deref().is_none_or(|modulus| signature < modulus)
    }

    /// Whether `signature` over `message` is valid, and has the only length of such signatures.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == self.0.signature_len && self.0.key.verify_sig(message, signature).is_ok()
    }
}

/// The members of the JWK that are the key.
fn parameters(algorithm: Algorithm, parts: &Parts) -> AlgorithmParameters {
    let text = |bytes: &Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
    match parts {
        Parts::Ec { x, y } => AlgorithmParameters::EllipticCurve(EllipticCurveKeyParameters {
            key_type: EllipticCurveKeyType::EC,
            curve: if algorithm == Algorithm::Es384 { EllipticCurve::P384 } else { EllipticCurve::P256 },
            x: text(x),
            y: text(y),
        }),
        Parts::Okp { x } => AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
            key_type: OctetKeyPairType::OctetKeyPair,
            curve: EllipticCurve::Ed25519,
            x: text(x),
        }),
        Parts::Rsa { n, e } => {
            AlgorithmParameters::RSA(RSAKeyParameters { key_type: RSAKeyType::RSA, n: text(n), e: text(e) })
        }
        // RFC 9964: the key is for this algorithm only, so that `alg` is one of its parts.
        Parts::Akp { public } => AlgorithmParameters::Other(OtherKeyParameters {
            fields: [("alg", algorithm.name().to_owned()), ("kty", "AKP".to_owned()), ("pub", text(public))]
                .map(|(name, value)| (name.to_owned(), value.into()))
                .into(),
        }),
    }
}

/// The parsed key and the length of its signatures; none if the parts are not a key for `algorithm`.
fn parse(algorithm: Algorithm, parts: &Parts) -> Option<(ParsedPublicKey, usize)> {
    let bare = |method: &'static dyn VerificationAlgorithm, bytes: &[u8], public_len, signature_len| {
        let key = ParsedPublicKey::new(method, bytes).ok()?;
        (bytes.len() == public_len).then_some((key, signature_len))
    };
    match (algorithm, parts) {
        (Algorithm::Es256, Parts::Ec { x, y }) => bare(&ECDSA_P256_SHA256_FIXED, &point(x, y, 32)?, 65, 64),
        (Algorithm::Es384, Parts::Ec { x, y }) => bare(&ECDSA_P384_SHA384_FIXED, &point(x, y, 48)?, 97, 96),
        (Algorithm::EdDsa, Parts::Okp { x }) => bare(&ED25519, x, 32, 64),
        (Algorithm::MlDsa44, Parts::Akp { public }) => bare(&ML_DSA_44, public, 1312, 2420),
        (Algorithm::MlDsa65, Parts::Akp { public }) => bare(&ML_DSA_65, public, 1952, 3309),
        (Algorithm::MlDsa87, Parts::Akp { public }) => bare(&ML_DSA_87, public, 2592, 4627),
        (algorithm, Parts::Rsa { n, e }) => {
            let components = PublicKeyComponents { n: n.as_slice(), e: e.as_slice() };
            // aws-lc rejects leading zeros, but does not check the size and the exponent.
            let key = components.to_parsed_public_key(rsa_method(algorithm)?).ok()?;
            let sound = RSA_BITS.contains(&bits(n)) && is_odd(n) && is_odd(e) && bits(e) > 1;
            sound.then_some((key, n.len()))
        }
        _ => None,
    }
}

/// An uncompressed point (SEC 1 section 2.3.3) whose coordinates have their full length (RFC 7518 section 6.2.1.2).
fn point(x: &[u8], y: &[u8], len: usize) -> Option<Vec<u8>> {
    (x.len() == len && y.len() == len).then(|| [&[4], x, y].concat())
}

/// The number of bits of a number without leading zeros.
pub(super) fn bits(number: &[u8]) -> usize {
    let leading = number.first().map_or(0, |first| first.leading_zeros() as usize);
    number.len() * 8 - leading
}

/// Whether a number is odd.
pub(super) fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last & 1 == 1)
}

const fn rsa_method(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]
mod tests {
    use aws_lc_rs::{encoding::AsDer as _, signature::KeyPair as _};

    use super::*;
    use crate::KeyMaterial;
    use crate::Verifier;

    fn key(algorithm: Algorithm) -> (KeyMaterial, PublicKey) {
        let bytes = KeyMaterial::generate(algorithm).unwrap();
        let material = KeyMaterial::parse(algorithm, &bytes).unwrap();
        let public = material.public_key(algorithm).unwrap();
        (material, public)
    }

    fn asymmetric() -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric())
    }

    #[test]
    fn what_the_store_keeps_is_the_same_key_again_and_verifies() {
        for algorithm in asymmetric() {
            let (material, public) = key(algorithm);
            let again = PublicKey::from_jwk(algorithm, &public.to_jwk()).unwrap();
            assert_eq!(again.to_jwk(), public.to_jwk());
            assert_eq!((again.0.algorithm, again.thumbprint()), (algorithm, public.thumbprint()));

            let signer = crate::Signer::in_memory(algorithm, Arc::new(material));
            let signature = signer.sign(b"message").unwrap();
            Verifier::public(again.clone()).verify(b"message", &signature).unwrap();
            assert!(Verifier::public(again.clone()).verify(b"massage", &signature).is_err(), "{algorithm}");
        }
    }

    #[test]
    fn a_signature_of_any_other_length_does_not_verify() {
        for algorithm in asymmetric() {
            let (material, public) = key(algorithm);
            let mut signature =
                crate::Signer::in_memory(algorithm, Arc::new(material)).sign(b"message").unwrap();
            signature.push(0);
            assert!(Verifier::public(public.clone()).verify(b"message", &signature).is_err(), "{algorithm}");
            signature.insert(0, 0);
            signature.truncate(signature.len() - 2);
            assert!(Verifier::public(public.clone()).verify(b"message", &signature).is_err(), "{algorithm}");
            signature.clear();
            assert!(Verifier::public(public.clone()).verify(b"message", &signature).is_err(), "{algorithm}");
        }
    }

    #[test]
    fn a_jwk_that_is_changed_in_any_way_is_not_read() {
        for algorithm in asymmetric() {
            let jwk = key(algorithm).1.to_jwk();
            let changed = [
                String::new(),
                jwk.replacen('{', r#"{"kid":"k","#, 1),
                jwk.replacen(r#""kty":""#, r#""kty":"X"#, 1),
                jwk.replacen(r#"":""#, r#"":"A"#, 1),
                jwk.replacen(r#""}"#, r#"A"}"#, 1),
                jwk.replacen(r#""}"#, r#"="}"#, 1),
                format!("{jwk}{jwk}"),
            ];
            for changed in changed {
                assert!(PublicKey::from_jwk(algorithm, &changed).is_err(), "{algorithm}: {changed}");
            }
            for other in Algorithm::ALL {
                let same_kind = KeyType::of(other) == KeyType::Rsa && KeyType::of(algorithm) == KeyType::Rsa;
                let read = PublicKey::from_jwk(other, &jwk);
                assert_eq!(read.is_ok(), other == algorithm || same_kind, "{algorithm} as {other}");
            }
        }
    }

    #[test]
    fn a_public_key_has_no_wrapping() {
        // aws-lc would read SPKI in its place as well, and one key would have two ids.
        for algorithm in [Algorithm::EdDsa, Algorithm::MlDsa44] {
            let (material, public) = key(algorithm);
            let (name, spki) = match material {
                KeyMaterial::Ed(pair) => ("x", pair.public_key().as_der().unwrap()),
                KeyMaterial::MlDsa(pair) => ("pub", pair.public_key().as_der().unwrap()),
                _ => return,
            };
            let mut jwk: Value = serde_json::from_str(&public.to_jwk()).unwrap();
            jwk[name] = URL_SAFE_NO_PAD.encode(spki.as_ref()).into();
            assert!(PublicKey::from_jwk(algorithm, &jwk.to_string()).is_err(), "{algorithm}");
        }
    }

    #[test]
    fn thumbprints_are_those_of_the_rfcs() {
        let rsa = r#"{"e":"AQAB","kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}"#;
        let ed = r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        for (algorithm, jwk, thumbprint) in [
            // RFC 7638 section 3.1.
            (Algorithm::Rs256, rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            // RFC 8037 appendix A.3.
            (Algorithm::EdDsa, ed, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        ] {
            let key = PublicKey::from_jwk(algorithm, jwk).unwrap();
            assert_eq!(key.thumbprint().as_str(), thumbprint);
            assert_eq!(key.to_jwk(), jwk);
        }
        // RFC 9964's example: the key whose seed is all zeros.
        let pair =
            aws_lc_rs::signature::PqdsaKeyPair::from_seed(&aws_lc_rs::signature::ML_DSA_44_SIGNING, &[0; 32]);
        let public = KeyMaterial::MlDsa(pair.unwrap()).public_key(Algorithm::MlDsa44).unwrap();
        assert_eq!(public.thumbprint().as_str(), "T4xl70S7MT6Zeq6r9V9fPJGVn76wfnXJ21-gyo0Gu6o");
    }

    #[test]
    fn published_members_are_in_lexicographic_order() {
        let published = |algorithm, jwk: &str| {
            let key = PublicKey::from_jwk(algorithm, jwk).unwrap();
            serde_json::to_string(&key.published(&KeyId::from_text("1"))).unwrap()
        };
        let ed = r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert_eq!(
            published(Algorithm::EdDsa, ed),
            r#"{"alg":"EdDSA","crv":"Ed25519","kid":"1","kty":"OKP","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
        );
        for (algorithm, members) in [
            (Algorithm::Es384, ["alg", "crv", "kid", "kty", "use", "x", "y"].as_slice()),
            (Algorithm::Ps512, &["alg", "e", "kid", "kty", "n", "use"]),
            (Algorithm::MlDsa44, &["alg", "kid", "kty", "pub", "use"]),
        ] {
            let text = published(algorithm, &key(algorithm).1.to_jwk());
            let names: Vec<&str> = text.split('"').skip(1).step_by(4).collect();
            assert_eq!(names, members, "{algorithm}");
            assert!(text.starts_with(&format!(r#"{{"alg":"{algorithm}","#)), "{text}");
        }
    }

    #[test]
    fn a_published_key_says_what_it_is_for() {
        let public = key(Algorithm::MlDsa65).1;
        let jwk = serde_json::to_value(public.published(&KeyId::from_text("one"))).unwrap();
        let jwk = jwk.as_object().unwrap();
        assert_eq!(jwk.keys().collect::<Vec<_>>(), ["alg", "kid", "kty", "pub", "use"]);
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap();
        assert_eq!([text("alg"), text("kid"), text("kty"), text("use")], ["ML-DSA-65", "one", "AKP", "sig"]);
    }
}

//! Makes tokens that tokend would not: with any header, any payload, and a signature that is good all the same.

use std::collections::HashMap;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    signature::{ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::EncodingKey;
use tokend::{
    model::{Algorithm, KeyRecord, KeyState},
    proto::v1::ImportKeyRequest,
    store::Store,
};

use crate::{
    harness::{ISSUER, SEALING_KEY, START, TestServer, accepted},
    made_keys::{made, pem_request, secret_request, verify_only},
};

/// base64url without padding.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The private half of a stored key, opened by the form that `keys/seal/key.rs` documents.
pub fn unseal(record: &KeyRecord) -> Vec<u8> {
    let sealing_key = STANDARD.decode(SEALING_KEY).unwrap();
    let (head, ciphertext) = record.sealed.as_deref().unwrap().split_at(1 + 8 + 12);
    let mut aad = head[..9].to_vec();
    aad.extend_from_slice(record.algorithm.name().as_bytes());
    aad.push(0);
    aad.extend_from_slice(record.key_id.as_str().as_bytes());
    let mut bytes = ciphertext.to_vec();
    let cipher = RandomizedNonceKey::new(&AES_256_GCM, &sealing_key).unwrap();
    let nonce = Nonce::try_assume_unique_for_key(&head[9..]).unwrap();
    cipher.open_in_place(nonce, Aad::from(aad), &mut bytes).unwrap().to_vec()
}

/// The private keys of a server with their ids.
pub struct Forge {
    keys: HashMap<Algorithm, (String, PrivateKey)>,
    issuer: &'static str,
}

/// The issuer of imported keys.
pub const PARTNER: &str = "https://partner.test";

/// By which profile tokens are read: that of tokend's own keys, or that of keys that were imported to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Own,
    Foreign,
}

impl Profile {
    pub const BOTH: [Self; 2] = [Self::Own, Self::Foreign];
}

/// A private key that signs outside of tokend. jsonwebtoken knows no ML-DSA: there aws-lc itself signs.
pub enum PrivateKey {
    Jwt(EncodingKey),
    MlDsa(PqdsaKeyPair),
}

impl Forge {
    pub async fn of(store: &Store) -> Self {
        let set = store.keys().await.unwrap();
        let in_state = |state| set.keys.iter().filter(move |record: &&KeyRecord| record.state == state);
        // The active key of an algorithm, else the pending one.
        let records = in_state(KeyState::Pending).chain(in_state(KeyState::Active));
        let keys = records.map(|record| (record.algorithm, entry(record))).collect();
        Self { keys, issuer: ISSUER }
    }

    /// Keys of the partner for these algorithms, imported to verify only.
    pub async fn imported(server: &TestServer, algorithms: &[Algorithm]) -> Self {
        let mut keys = HashMap::new();
        for algorithm in algorithms {
            let key_id = format!("partner-{algorithm}");
            let (bytes, request) = if algorithm.is_symmetric() {
                let bytes = algorithm.name().repeat(16).into_bytes();
                (bytes.clone(), secret_request(bytes, algorithm.name()))
            } else {
                let key = made(*algorithm);
                (key.pkcs8.clone(), pem_request(key.public_pem(), algorithm.name()))
            };
            let request = ImportKeyRequest {
                key_id: key_id.clone(),
                issuer: PARTNER.to_owned(),
                ..verify_only(request)
            };
            let request = server.root.request(request);
            accepted(server.root.keys().import_key(request).await);
            keys.insert(*algorithm, (key_id, PrivateKey::parse(*algorithm, &bytes)));
        }
        Self { keys, issuer: PARTNER }
    }

    /// The keys of this profile.
    pub async fn by(profile: Profile, server: &TestServer, algorithms: &[Algorithm]) -> Self {
        match profile {
            Profile::Own => Self::of(&server.store).await,
            Profile::Foreign => Self::imported(server, algorithms).await,
        }
    }

    pub const fn issuer(&self) -> &'static str {
        self.issuer
    }

    /// A payload that is accepted for `orders` under these keys.
    pub fn payload(&self) -> serde_json::Value {
        let mut claims = payload();
        claims["iss"] = self.issuer.into();
        claims
    }

    /// A token of this payload under the key for `algorithm`, as tokend would write it.
    pub fn token(&self, algorithm: Algorithm, payload: &serde_json::Value) -> String {
        self.sign(algorithm, self.header(algorithm), payload.to_string())
    }

    pub fn kid(&self, algorithm: Algorithm) -> &str {
        &self.keys[&algorithm].0
    }

    /// The key as jsonwebtoken holds it; not for ML-DSA.
    pub fn key(&self, algorithm: Algorithm) -> &EncodingKey {
        let PrivateKey::Jwt(key) = &self.keys[&algorithm].1 else {
            panic!("jsonwebtoken knows no {algorithm}")
        };
        key
    }

    /// `header.payload.signature`, signed by the key for `algorithm` over exactly these texts.
    pub fn sign(&self, algorithm: Algorithm, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        self.sign_input(algorithm, &format!("{}.{}", b64(header), b64(payload)))
    }

    /// The same over a signing input of any form.
    pub fn sign_input(&self, algorithm: Algorithm, input: &str) -> String {
        format!("{input}.{}", self.keys[&algorithm].1.sign(algorithm, input))
    }

    /// The header that tokend writes.
    pub fn header(&self, algorithm: Algorithm) -> String {
        format!(r#"{{"alg":"{algorithm}","kid":"{}","typ":"JWT"}}"#, self.kid(algorithm))
    }
}

impl PrivateKey {
    /// Reads PKCS#8, or a secret.
    pub fn parse(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let ml_dsa = |method| Self::MlDsa(PqdsaKeyPair::from_pkcs8(method, bytes).unwrap());
        match algorithm {
            Algorithm::Es256 | Algorithm::Es384 => Self::Jwt(EncodingKey::from_ec_der(bytes)),
            Algorithm::EdDsa => Self::Jwt(EncodingKey::from_ed_der(bytes)),
            Algorithm::MlDsa44 => ml_dsa(&ML_DSA_44_SIGNING),
            Algorithm::MlDsa65 => ml_dsa(&ML_DSA_65_SIGNING),
            Algorithm::MlDsa87 => ml_dsa(&ML_DSA_87_SIGNING),
            algorithm if algorithm.is_symmetric() => Self::Jwt(EncodingKey::from_secret(bytes)),
            // PKCS#8 of an RSA key is a fixed prefix of 26 bytes before the PKCS#1 key that jsonwebtoken wants.
            _ => Self::Jwt(EncodingKey::from_rsa_der(&bytes[26..])),
        }
    }

    /// The signature as it stands in a token.
    pub fn sign(&self, algorithm: Algorithm, input: &str) -> String {
        match self {
            Self::Jwt(key) => {
                let jwt = algorithm.name().parse().unwrap();
                jsonwebtoken::crypto::sign(input.as_bytes(), key, jwt).unwrap()
            }
            Self::MlDsa(pair) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                pair.sign(input.as_bytes(), &mut signature).unwrap();
                b64(signature)
            }
        }
    }
}

/// A payload that tokend accepts for `orders`.
pub fn payload() -> serde_json::Value {
    serde_json::json!({
        "iss": ISSUER, "sub": "alice", "aud": "orders", "exp": START + 600, "nbf": START, "iat": START,
        "jti": "jti-1", "client_id": "root", "scope": "read write",
    })
}

fn entry(record: &KeyRecord) -> (String, PrivateKey) {
    (record.key_id.as_str().to_owned(), PrivateKey::parse(record.algorithm, &unseal(record)))
}

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
    store::Store,
};

use crate::harness::{ISSUER, SEALING_KEY, START};

/// base64url without padding.
pub fn b64(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// The private half of a stored key, opened by the form that `keys/seal/key.rs` documents.
pub fn unseal(record: &KeyRecord) -> Vec<u8> {
    let sealing_key = STANDARD.decode(SEALING_KEY).unwrap();
    let (head, ciphertext) = record.sealed.as_deref().unwrap().split_at(1 + 8 + 12);
    let mut aad = head[..9].to_vec();
    aad.extend_from_slice(record.algorithm.name().as_bytes());
    aad.push(0);
    aad.extend_from_slice(record.key_id.as_str().as_bytes());
    let mut octets = ciphertext.to_vec();
    let cipher = RandomizedNonceKey::new(&AES_256_GCM, &sealing_key).unwrap();
    let nonce = Nonce::try_assume_unique_for_key(&head[9..]).unwrap();
    cipher.open_in_place(nonce, Aad::from(aad), &mut octets).unwrap().to_vec()
}

/// The private keys of a server with their ids.
pub struct Forge(HashMap<Algorithm, (String, PrivateKey)>);

/// A private key that signs outside of tokend. jsonwebtoken knows no ML-DSA: there aws-lc itself signs.
pub enum PrivateKey {
    Jwt(EncodingKey),
    MlDsa(PqdsaKeyPair),
}

impl Forge {
    pub async fn of(store: &dyn Store) -> Self {
        let set = store.keys().await.unwrap();
        let in_state = |state| set.keys.iter().filter(move |record: &&KeyRecord| record.state == state);
        // The active key of an algorithm, else the pending one.
        let records = in_state(KeyState::Pending).chain(in_state(KeyState::Active));
        Self(records.map(|record| (record.algorithm, entry(record))).collect())
    }

    pub fn kid(&self, algorithm: Algorithm) -> &str {
        &self.0[&algorithm].0
    }

    /// The key as jsonwebtoken holds it; not for ML-DSA.
    pub fn key(&self, algorithm: Algorithm) -> &EncodingKey {
        let PrivateKey::Jwt(key) = &self.0[&algorithm].1 else { panic!("jsonwebtoken knows no {algorithm}") };
        key
    }

    /// `header.payload.signature`, signed by the key for `algorithm` over exactly these texts.
    pub fn sign(&self, algorithm: Algorithm, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        self.sign_input(algorithm, &format!("{}.{}", b64(header), b64(payload)))
    }

    /// The same over a signing input of any form.
    pub fn sign_input(&self, algorithm: Algorithm, input: &str) -> String {
        format!("{input}.{}", self.0[&algorithm].1.sign(algorithm, input))
    }

    /// The header that tokend writes.
    pub fn header(&self, algorithm: Algorithm) -> String {
        format!(r#"{{"alg":"{algorithm}","kid":"{}","typ":"JWT"}}"#, self.kid(algorithm))
    }
}

impl PrivateKey {
    /// Reads PKCS#8, or a secret.
    pub fn parse(algorithm: Algorithm, octets: &[u8]) -> Self {
        let ml_dsa = |method| Self::MlDsa(PqdsaKeyPair::from_pkcs8(method, octets).unwrap());
        match algorithm {
            Algorithm::Es256 | Algorithm::Es384 => Self::Jwt(EncodingKey::from_ec_der(octets)),
            Algorithm::EdDsa => Self::Jwt(EncodingKey::from_ed_der(octets)),
            Algorithm::MlDsa44 => ml_dsa(&ML_DSA_44_SIGNING),
            Algorithm::MlDsa65 => ml_dsa(&ML_DSA_65_SIGNING),
            Algorithm::MlDsa87 => ml_dsa(&ML_DSA_87_SIGNING),
            algorithm if algorithm.is_symmetric() => Self::Jwt(EncodingKey::from_secret(octets)),
            // PKCS#8 of an RSA key is a fixed prefix of 26 bytes before the PKCS#1 key that jsonwebtoken wants.
            _ => Self::Jwt(EncodingKey::from_rsa_der(&octets[26..])),
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

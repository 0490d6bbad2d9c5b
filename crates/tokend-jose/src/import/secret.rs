//! HMAC secrets.

use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::{PrivateKeyInfoRef, spki::SubjectPublicKeyInfoRef};
use sec1::EcPrivateKey;
use zeroize::Zeroizing;

use super::{
    candidate::Kind,
    imported_key::ImportedKey,
    members::Members,
    problem::{ImportError, Problem},
};
use crate::{Algorithm, material::least_secret};

/// Checks that a secret is long enough for the algorithm that its JWK `declared` or that the caller `requested`, and is not a key.
pub(super) fn check(
    bytes: &[u8],
    declared: Option<Algorithm>,
    requested: Option<Algorithm>,
) -> Result<ImportedKey, ImportError> {
    // Key confusion: if the secret were a public key, every reader of that key could sign.
    if is_text_of_key(bytes) || is_der_of_key(bytes) {
        return Err(Problem::SecretIsKey.into());
    }
    let algorithm = Kind::Secret.algorithm(declared, requested)?;
    let least = least_secret(algorithm);
    if bytes.len() < least {
        return Err(Problem::SecretTooShort { algorithm, least }.into());
    }
    Ok(ImportedKey {
        key_id: None,
        algorithm,
        public: None,
        private: Some(Zeroizing::new(bytes.to_vec())),
        may_sign: true,
    })
}

/// Whether the bytes are PEM, a JWK, a JWK set or an SSH public key.
fn is_text_of_key(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    let text = text.trim();
    let is_jwk = |members: &Members| members.contains_key("kty") || members.contains_key("keys");
    text.contains("-----BEGIN ")
        || ["ssh-", "ecdsa-sha2-"].iter().any(|start| text.starts_with(start))
        || Members::parse(text).is_ok_and(|members| is_jwk(&members))
}

/// Whether the bytes are the DER of a key.
fn is_der_of_key(bytes: &[u8]) -> bool {
    PrivateKeyInfoRef::try_from(bytes).is_ok()
        || SubjectPublicKeyInfoRef::try_from(bytes).is_ok()
        || EcPrivateKey::try_from(bytes).is_ok()
        || RsaPrivateKeyRef::try_from(bytes).is_ok()
        || RsaPublicKeyRef::try_from(bytes).is_ok()
}

//! HMAC secrets.

use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::{PrivateKeyInfoRef, spki::SubjectPublicKeyInfoRef};
use sec1::EcPrivateKey;
use zeroize::Zeroizing;

use super::{
    imported_key::ImportedKey,
    kind::Kind,
    members::Members,
    problem::{ImportError, Problem},
};
use crate::{Algorithm, material::least_secret};

/// The secret, if it is long enough for the algorithm that it names itself (`own`) or that the caller `said`, and
/// no key in disguise.
pub(super) fn check(
    octets: &[u8],
    own: Option<Algorithm>,
    said: Option<Algorithm>,
) -> Result<ImportedKey, ImportError> {
    // The classic confusion: with a public key for the secret, whoever knows it signs.
    if is_text_of_key(octets) || is_der_of_key(octets) {
        return Err(Problem::SecretIsKey.into());
    }
    let algorithm = Kind::Secret.algorithm(own, said)?;
    let least = least_secret(algorithm);
    if octets.len() < least {
        return Err(Problem::SecretTooShort { algorithm, least }.into());
    }
    Ok(ImportedKey {
        key_id: None,
        algorithm,
        public: None,
        private: Some(Zeroizing::new(octets.to_vec())),
        may_sign: true,
    })
}

/// PEM, a JWK or a JWK set, or a line of SSH.
fn is_text_of_key(octets: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(octets) else { return false };
    let text = text.trim();
    let is_jwk = |members: &Members| members.contains_key("kty") || members.contains_key("keys");
    text.contains("-----BEGIN ")
        || ["ssh-", "ecdsa-sha2-"].iter().any(|start| text.starts_with(start))
        || Members::parse(text).is_ok_and(|members| is_jwk(&members))
}

/// What stands inside of PEM.
fn is_der_of_key(octets: &[u8]) -> bool {
    PrivateKeyInfoRef::try_from(octets).is_ok()
        || SubjectPublicKeyInfoRef::try_from(octets).is_ok()
        || EcPrivateKey::try_from(octets).is_ok()
        || RsaPrivateKeyRef::try_from(octets).is_ok()
        || RsaPublicKeyRef::try_from(octets).is_ok()
}

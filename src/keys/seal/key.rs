//! Sealing: private keys are encrypted with AES-256-GCM under the sealing key.
//!
//! A sealed key is `version (1) | sealing key id (8) | nonce (12) | ciphertext and tag`. The associated data binds it to
//! its key id and algorithm, so that rows cannot be exchanged for one another.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hmac,
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

use super::rows::row_key;
use crate::{
    keys::KeyError,
    model::{Algorithm, KeyId, SealingKeyId},
    random::{self, RandomError},
};

const VERSION: u8 = 1;
const ID_LEN: usize = SealingKeyId::LEN;

/// A sealing key. It cannot be printed.
pub struct SealingKey {
    bytes: Zeroizing<[u8; 32]>,
    cipher: RandomizedNonceKey,
    rows: hmac::Key,
    id: SealingKeyId,
}

/// A text that is not a sealing key.
#[derive(Debug, thiserror::Error)]
#[error("must be 32 bytes in base64 or hexadecimal; generate one with `tokend init`")]
pub struct SealingKeyError;

impl SealingKey {
    /// Generates a sealing key.
    ///
    /// # Errors
    /// When the system's random number generator fails.
    pub fn generate() -> Result<Self, RandomError> {
        Self::from_bytes(Zeroizing::new(random::bytes()?)).map_err(|_| RandomError)
    }

    /// Reads 32 bytes in base64 (either alphabet, with or without padding) or hexadecimal. White space around them is
    /// allowed, because files end with a line break.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, SealingKeyError> {
        let text = text.trim();
        let bytes = if text.len() == 64 { from_hex(text) } else { from_base64(text) };
        let bytes = bytes.ok_or(SealingKeyError)?;
        let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| SealingKeyError)?;
        Self::from_bytes(Zeroizing::new(bytes))
    }

    /// The key in the form that [`Self::parse`] reads.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(*self.bytes))
    }

    /// The bytes, for a provider that wraps them.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The sealing key with these bytes.
    pub(super) fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Result<Self, SealingKeyError> {
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &*bytes).map_err(|_| SealingKeyError)?;
        let rows = row_key(&bytes)?;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*bytes), b"tokend sealing key id");
        let mut id = [0; ID_LEN];
        id.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        Ok(Self { bytes, cipher, rows, id: SealingKeyId::from_bytes(id) })
    }

    /// The key for the MACs of rows.
    pub(super) const fn row_key(&self) -> &hmac::Key {
        &self.rows
    }

    /// The id of the key, which reveals nothing about it.
    pub const fn id(&self) -> SealingKeyId {
        self.id
    }

    /// Encrypts private key material.
    pub(in crate::keys) fn seal(
        &self,
        key_id: &KeyId,
        algorithm: Algorithm,
        bytes: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let mut ciphertext = bytes.to_vec();
        let aad = Aad::from(associated_data(self.id, key_id, algorithm));
        let nonce = self
            .cipher
            .seal_in_place_append_tag(aad, &mut ciphertext)
            .map_err(|_| KeyError::Make(algorithm, "it could not be sealed".to_owned()))?;
        let mut sealed = Vec::with_capacity(1 + ID_LEN + NONCE_LEN + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(self.id.as_bytes());
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut ciphertext);
        Ok(sealed)
    }

    /// Decrypts what [`Self::seal`] encrypted for the same key id and algorithm. The caller must select the sealing key by
    /// [`sealed_under`].
    pub(in crate::keys) fn open(
        &self,
        key_id: &KeyId,
        algorithm: Algorithm,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let damaged = || KeyError::Damaged(key_id.clone());
        let rest =
            sealed.get(1 + ID_LEN..).filter(|_| sealed_under(sealed) == Some(self.id)).ok_or_else(damaged)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        let mut bytes = Zeroizing::new(ciphertext.to_vec());
        let aad = Aad::from(associated_data(self.id, key_id, algorithm));
        let length =
            self.cipher.open_in_place(Nonce::from(nonce), aad, &mut bytes).map_err(|_| damaged())?.len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id())
    }
}

/// The id of the sealing key; none if the format is unknown.
pub(super) fn sealed_under(sealed: &[u8]) -> Option<SealingKeyId> {
    let (version, rest) = sealed.split_first()?;
    let id = rest.first_chunk::<ID_LEN>()?;
    (*version == VERSION).then(|| SealingKeyId::from_bytes(*id))
}

/// Unambiguous: every part but the last has a fixed length, or ends with a character that it cannot contain.
fn associated_data(id: SealingKeyId, key_id: &KeyId, algorithm: Algorithm) -> Vec<u8> {
    let mut data = vec![VERSION];
    data.extend_from_slice(id.as_bytes());
    data.extend_from_slice(algorithm.name().as_bytes());
    data.push(0);
    data.extend_from_slice(key_id.as_str().as_bytes());
    data
}

fn from_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let either = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [alphabet::URL_SAFE, alphabet::STANDARD]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, either).decode(text).ok())
        .map(Zeroizing::new)
}

fn from_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = Zeroizing::new(digits?);
    let pairs = digits.chunks_exact(2);
    Some(Zeroizing::new(pairs.map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn kid() -> KeyId {
        KeyId::from_text("kid")
    }

    #[test]
    fn what_is_sealed_opens_for_its_own_key_only() {
        let key = SealingKey::generate().unwrap();
        let sealed = key.seal(&kid(), Algorithm::Es256, b"private").unwrap();
        assert_eq!(*key.open(&kid(), Algorithm::Es256, &sealed).unwrap(), b"private");
        assert!(key.open(&KeyId::from_text("other"), Algorithm::Es256, &sealed).is_err());
        assert!(key.open(&kid(), Algorithm::Es384, &sealed).is_err());
        assert_eq!(sealed_under(&sealed), Some(key.id()));
        let other = SealingKey::generate().unwrap();
        assert!(matches!(other.open(&kid(), Algorithm::Es256, &sealed), Err(KeyError::Damaged(_))));
    }

    #[test]
    fn a_changed_or_cut_sealed_key_is_an_error_at_every_byte() {
        let key = SealingKey::generate().unwrap();
        let sealed = key.seal(&kid(), Algorithm::Es256, b"private").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(&kid(), Algorithm::Es256, &changed).is_err(), "byte {at} changed");
            assert!(key.open(&kid(), Algorithm::Es256, &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_sealing_key_is_read_in_every_usual_spelling() {
        let key = SealingKey::generate().unwrap();
        let hex: String = key.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let base64 = base64::engine::general_purpose::STANDARD.encode(*key.bytes);
        for text in [key.to_text().to_string(), format!("{}\n", *key.to_text()), hex, base64] {
            assert_eq!(SealingKey::parse(&text).unwrap().bytes, key.bytes);
        }
        for text in ["", "short", &"g".repeat(64), &"A".repeat(44)] {
            assert!(SealingKey::parse(text).is_err(), "{text}");
        }
    }
}

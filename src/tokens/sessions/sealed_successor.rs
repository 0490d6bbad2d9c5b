//! Seals the successor of a used refresh token, so that any replica can return it again to a client with the used token; the store
//! alone does not reveal it.
//!
//! The form is `version (1) | nonce (12) | ciphertext and tag` of the successor's secret, encrypted with AES-256-GCM under a key that is
//! derived (HKDF, RFC 5869) from the secret of the used token. The associated data is the session id.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf,
};
use zeroize::Zeroizing;

use super::token::RefreshToken;
use crate::model::FamilyKey;

const VERSION: u8 = 1;
const INFO: &[u8] = b"tokend refresh token successor";

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the successor of a refresh token could not be sealed or opened")]
pub(crate) struct SealError;

/// Seals `successor` for `used`.
pub(super) fn seal(used: &RefreshToken, successor: &RefreshToken) -> Result<Vec<u8>, SealError> {
    let mut ciphertext = successor.secret().to_vec();
    let nonce = cipher(used)?.seal_in_place_append_tag(associated_data(used), &mut ciphertext);
    let nonce = nonce.map_err(|_| SealError)?;
    let mut sealed = Vec::with_capacity(1 + NONCE_LEN + ciphertext.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(nonce.as_ref());
    sealed.append(&mut ciphertext);
    Ok(sealed)
}

/// Opens the successor of `used`, a token of the session with this family key.
pub(super) fn open(
    used: &RefreshToken,
    family: &FamilyKey,
    sealed: &[u8],
) -> Result<RefreshToken, SealError> {
    let (version, rest) = sealed.split_first().ok_or(SealError)?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError)?;
    if *version != VERSION {
        return Err(SealError);
    }
    let mut bytes = Zeroizing::new(ciphertext.to_vec());
    let opened = cipher(used)?.open_in_place(Nonce::from(nonce), associated_data(used), &mut bytes);
    let secret = <[u8; 32]>::try_from(&*opened.map_err(|_| SealError)?).map_err(|_| SealError)?;
    Ok(RefreshToken::of_secret(used.session_id(), family, Zeroizing::new(secret)))
}

fn cipher(used: &RefreshToken) -> Result<RandomizedNonceKey, SealError> {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(used.secret());
    let mut key = Zeroizing::new([0; 32]);
    let expanded = extracted.expand(&[INFO], hkdf::HKDF_SHA256).map_err(|_| SealError)?;
    expanded.fill(&mut *key).map_err(|_| SealError)?;
    RandomizedNonceKey::new(&AES_256_GCM, &*key).map_err(|_| SealError)
}

fn associated_data(used: &RefreshToken) -> Aad<[u8; 16]> {
    Aad::from(used.session_id().to_bytes())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::model::SessionId;

    #[test]
    fn only_the_used_token_opens_its_successor() {
        let (family, id) = (FamilyKey::generate().unwrap(), SessionId::generate().unwrap());
        let token = || RefreshToken::generate(&id, &family).unwrap();
        let (used, successor) = (token(), token());
        let sealed = seal(&used, &successor).unwrap();
        assert_eq!(*open(&used, &family, &sealed).unwrap().reveal(), *successor.reveal());
        for other in [token(), successor] {
            assert!(open(&other, &family, &sealed).is_err());
        }
        let secret = Zeroizing::new(*used.secret());
        let elsewhere = RefreshToken::of_secret(&SessionId::generate().unwrap(), &family, secret);
        assert!(open(&elsewhere, &family, &sealed).is_err(), "bound to its session");
    }

    #[test]
    fn a_change_or_cut_at_any_byte_is_an_error() {
        let (family, id) = (FamilyKey::generate().unwrap(), SessionId::generate().unwrap());
        let used = RefreshToken::generate(&id, &family).unwrap();
        let sealed = seal(&used, &RefreshToken::generate(&id, &family).unwrap()).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&used, &family, &changed).err(), Some(SealError), "byte {at} changed");
            assert_eq!(open(&used, &family, &sealed[..at]).err(), Some(SealError), "cut at {at}");
        }
    }
}

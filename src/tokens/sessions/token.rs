//! Refresh tokens: `tkr_` and base64url of `session id (16) | secret (32) | mark (16)`.
//!
//! The mark is a MAC of the secret under the session's family key. It identifies every token of a session, used or not, without a row
//! for each; knowledge of a session id does not suffice to make a token that looks used.

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{
    model::{FamilyKey, REFRESH_TOKEN_PREFIX, RefreshDigest, SessionId},
    random::{self, RandomError},
};

const SECRET_LEN: usize = 32;
const MARK_LEN: usize = 16;
/// The length of the text after the prefix, for 64 bytes.
const TEXT_LEN: usize = 86;

/// A refresh token. It cannot be printed, and its memory is wiped.
pub(crate) struct RefreshToken {
    session_id: SessionId,
    secret: Zeroizing<[u8; SECRET_LEN]>,
    mark: [u8; MARK_LEN],
}

impl RefreshToken {
    pub(super) fn generate(session_id: &SessionId, family: &FamilyKey) -> Result<Self, RandomError> {
        Ok(Self::of_secret(session_id, family, Zeroizing::new(random::bytes()?)))
    }

    /// The token of a session with this secret.
    pub(super) fn of_secret(
        session_id: &SessionId,
        family: &FamilyKey,
        secret: Zeroizing<[u8; SECRET_LEN]>,
    ) -> Self {
        let mark = mark(family, &secret);
        Self { session_id: session_id.clone(), secret, mark }
    }

    /// Parses a presented token, strictly.
    pub(in crate::tokens) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(REFRESH_TOKEN_PREFIX).filter(|rest| rest.len() == TEXT_LEN)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        let (session_id, rest) = bytes.split_first_chunk::<16>()?;
        let (secret, mark) = rest.split_first_chunk::<SECRET_LEN>()?;
        let mark = <[u8; MARK_LEN]>::try_from(mark).ok()?;
        Some(Self { session_id: SessionId::from_bytes(session_id), secret: Zeroizing::new(*secret), mark })
    }

    /// The text of the token, for its client.
    pub(crate) fn reveal(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 + SECRET_LEN + MARK_LEN));
        bytes.extend_from_slice(&self.session_id.to_bytes());
        bytes.extend_from_slice(&*self.secret);
        bytes.extend_from_slice(&self.mark);
        // With its final capacity: a reallocation would leave a copy that is not wiped.
        let mut text = Zeroizing::new(String::with_capacity(REFRESH_TOKEN_PREFIX.len() + TEXT_LEN));
        text.push_str(REFRESH_TOKEN_PREFIX);
        URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text);
        text
    }

    /// The id in the token, which is not verified.
    pub(super) const fn session_id(&self) -> &SessionId {
        &self.session_id
    }

    /// The digest in the store.
    pub(super) fn digest(&self) -> RefreshDigest {
        RefreshDigest::of(&*self.secret)
    }

    /// Whether the token is, or was, a token of the session with this family key. In constant time.
    pub(super) fn has_mark_of(&self, family: &FamilyKey) -> bool {
        constant_time::verify_slices_are_equal(&self.mark, &mark(family, &self.secret)).is_ok()
    }

    /// The secret, for the derivation of keys.
    pub(super) fn secret(&self) -> &[u8; SECRET_LEN] {
        &self.secret
    }
}

fn mark(family: &FamilyKey, secret: &[u8; SECRET_LEN]) -> [u8; MARK_LEN] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, family.as_bytes()), secret);
    let mut mark = [0; MARK_LEN];
    mark.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    mark
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]
mod tests {
    use super::*;

    fn made() -> (FamilyKey, RefreshToken) {
        let family = FamilyKey::generate().unwrap();
        let token = RefreshToken::generate(&SessionId::generate().unwrap(), &family).unwrap();
        (family, token)
    }

    #[test]
    fn a_token_survives_a_round_trip() {
        let (family, token) = made();
        let text = token.reveal();
        assert_eq!(text.len(), 90);
        let read = RefreshToken::parse(&text).unwrap();
        assert_eq!(read.session_id(), token.session_id());
        assert_eq!(read.digest(), token.digest());
        assert!(read.has_mark_of(&family));
        assert_eq!(*read.reveal(), *text);
    }

    #[test]
    fn a_changed_token_has_no_valid_mark() {
        let (family, token) = made();
        let bytes = URL_SAFE_NO_PAD.decode(&token.reveal()[4..]).unwrap();
        for at in 16..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let text = format!("tkr_{}", URL_SAFE_NO_PAD.encode(&changed));
            assert!(!RefreshToken::parse(&text).unwrap().has_mark_of(&family), "byte {at}");
        }
        assert!(!token.has_mark_of(&FamilyKey::generate().unwrap()));
    }
}

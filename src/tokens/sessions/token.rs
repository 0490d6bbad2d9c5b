//! Refresh tokens: `tkr_` and base64url of `session id (16) | secret (32) | mark (16)`.
//!
//! The mark is a MAC of the secret under the session's family key. Every token that was ever one of a session is known by
//! it, without a row for each; and nobody who only knows a session's id can make one that looks used.

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{
    model::{FamilyKey, RefreshDigest, SessionId},
    random::{self, RandomError},
};

/// So that scanners find one that leaked.
const PREFIX: &str = "tkr_";
const SECRET_LEN: usize = 32;
const MARK_LEN: usize = 16;
/// What follows the prefix, in characters: 64 octets.
const TEXT_LEN: usize = 86;

/// A refresh token. It cannot be printed; its memory is wiped.
pub(crate) struct RefreshToken {
    session_id: SessionId,
    secret: Zeroizing<[u8; SECRET_LEN]>,
    mark: [u8; MARK_LEN],
}

impl RefreshToken {
    /// A fresh token of a session.
    pub(super) fn generate(session_id: &SessionId, family: &FamilyKey) -> Result<Self, RandomError> {
        Ok(Self::of_secret(session_id, family, Zeroizing::new(random::bytes()?)))
    }

    /// The token of a session that has this secret.
    pub(super) fn of_secret(
        session_id: &SessionId,
        family: &FamilyKey,
        secret: Zeroizing<[u8; SECRET_LEN]>,
    ) -> Self {
        let mark = mark(family, &secret);
        Self { session_id: session_id.clone(), secret, mark }
    }

    /// Reads a token that somebody presents; none if it has any other form than those that are made here.
    pub(in crate::tokens) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(PREFIX).filter(|rest| rest.len() == TEXT_LEN)?;
        let octets = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        let (session_id, rest) = octets.split_first_chunk::<16>()?;
        let (secret, mark) = rest.split_first_chunk::<SECRET_LEN>()?;
        let mark = <[u8; MARK_LEN]>::try_from(mark).ok()?;
        Some(Self { session_id: SessionId::from_octets(session_id), secret: Zeroizing::new(*secret), mark })
    }

    /// The token itself, for the one who may have it.
    pub(crate) fn reveal(&self) -> Zeroizing<String> {
        let mut octets = Zeroizing::new(Vec::with_capacity(16 + SECRET_LEN + MARK_LEN));
        octets.extend_from_slice(&self.session_id.octets());
        octets.extend_from_slice(&*self.secret);
        octets.extend_from_slice(&self.mark);
        // No room to grow: what is left behind by growing would not be wiped.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + TEXT_LEN));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&*octets, &mut text);
        text
    }

    /// The session that it says it is of.
    pub(super) const fn session_id(&self) -> &SessionId {
        &self.session_id
    }

    /// What the session knows it by.
    pub(super) fn digest(&self) -> RefreshDigest {
        RefreshDigest::of(&*self.secret)
    }

    /// Whether it was ever one of the session with this family key. In constant time.
    pub(super) fn bears_mark_of(&self, family: &FamilyKey) -> bool {
        constant_time::verify_slices_are_equal(&self.mark, &mark(family, &self.secret)).is_ok()
    }

    /// What only the token itself yields: for the keys that are derived from it.
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
    fn a_token_is_read_as_it_was_made() {
        let (family, token) = made();
        let text = token.reveal();
        assert_eq!(text.len(), 90);
        let read = RefreshToken::parse(&text).unwrap();
        assert_eq!(read.session_id(), token.session_id());
        assert_eq!(read.digest(), token.digest());
        assert!(read.bears_mark_of(&family));
        assert_eq!(*read.reveal(), *text);
    }

    #[test]
    fn no_other_text_is_a_token() {
        let (_, token) = made();
        let text = token.reveal();
        let last = text.len() - 1;
        let padded = format!("{}==", *text);
        let capital = text.replacen("tkr_", "TKR_", 1);
        // The last character says four bits: with any other after them it is another spelling of the same octets.
        let respelled = format!("{}B", &text[..last]);
        let standard = format!("tkr_+{}", &text[5..]);
        for wrong in [
            "",
            "tkr_",
            &text[..last],
            &text[4..],
            &format!("{}A", *text),
            &format!(" {}", *text),
            &format!("{}\n", *text),
            &padded,
            &capital,
            &respelled,
            &standard,
            &"ü".repeat(45),
        ] {
            assert!(RefreshToken::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_token_with_anything_changed_bears_no_mark() {
        let (family, token) = made();
        let octets = URL_SAFE_NO_PAD.decode(&token.reveal()[4..]).unwrap();
        for at in 16..octets.len() {
            let mut changed = octets.clone();
            changed[at] ^= 1;
            let text = format!("tkr_{}", URL_SAFE_NO_PAD.encode(&changed));
            assert!(!RefreshToken::parse(&text).unwrap().bears_mark_of(&family), "octet {at}");
        }
        assert!(!token.bears_mark_of(&FamilyKey::generate().unwrap()));
    }
}

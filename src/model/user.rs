//! Users: people who log in with a name and a password.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

use super::{ExtraClaims, PasswordHash, UnixTime};
use crate::random::{self, RandomError};

/// A user's id, and the subject of the user's tokens: 1 to 255 printable characters of ASCII without a space.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(String);

/// A text that is no user id.
#[derive(Debug, thiserror::Error)]
#[error("must be 1 to 255 printable characters of ASCII without a space")]
pub struct InvalidUserId;

impl UserId {
    /// Reads a user id.
    ///
    /// # Errors
    /// When it has another form.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidUserId> {
        let text = text.into();
        let well_formed = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if well_formed { Ok(Self(text)) } else { Err(InvalidUserId) }
    }

    /// An id for a user that was given none: `u-` and 80 random bits in hexadecimal.
    pub(crate) fn generate() -> Result<Self, RandomError> {
        let hex: String = random::bytes::<10>()?.iter().map(|octet| format!("{octet:02x}")).collect();
        Ok(Self(format!("u-{hex}")))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name to log in with, in the one form in which names are kept and compared: NFKC, in lower case. It has no `Debug`:
/// whatever was typed in place of a name may be a password. The default one is empty, which no user has.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Username(String);

/// A text that is no user name.
#[derive(Debug, thiserror::Error)]
#[error("must be 1 to 255 bytes of text, without characters that nobody sees and without space at its ends")]
pub struct InvalidUsername;

impl Username {
    /// The longest name, in bytes: as it was typed, and as it is kept.
    const LONGEST: usize = 255;

    /// Reads a name as somebody typed it.
    ///
    /// # Errors
    /// When it is empty or too long, or holds what nobody can see.
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        if text.len() > Self::LONGEST {
            return Err(InvalidUsername);
        }
        // Lower case can leave NFKC again, and NFKC can bring in capitals: twice is enough for all of Unicode.
        let once: String = text.nfkc().flat_map(char::to_lowercase).nfkc().collect();
        let name: String = once.chars().flat_map(char::to_lowercase).nfkc().collect();
        let visible = !name.chars().any(is_invisible) && name.trim() == name;
        let fits = (1..=Self::LONGEST).contains(&name.len());
        if visible && fits { Ok(Self(name)) } else { Err(InvalidUsername) }
    }

    /// The name as it is kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character shows nothing of itself, so that two names with and without it would look the same: controls, and those
/// that Unicode lets programs pass over (Default_Ignorable_Code_Point), of which some also turn the order of others around.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A user, without anything of the password.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Who it is.
    pub user_id: UserId,
    /// What operators decide about the user.
    pub settings: UserSettings,
    /// When the user was registered.
    pub create_time: UnixTime,
    /// When the user was last changed.
    pub update_time: UnixTime,
    /// When the password was last set.
    pub password_update_time: UnixTime,
    /// Counts the user's changes, from a number by chance.
    pub revision: i64,
}

/// What operators decide about a user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserSettings {
    /// The name to log in with; no two users have the same.
    pub username: Username,
    /// Refused like an unknown user.
    pub disabled: bool,
    /// Claims of the user's tokens.
    pub claims: ExtraClaims,
    /// The scopes that the user's tokens may hold.
    pub scopes: Vec<String>,
}

/// A user with what is kept of the password.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The user.
    pub user: User,
    /// What the password is compared with.
    pub password: PasswordHash,
}

/// What becomes of the sessions that a user has when another password is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldSessions {
    /// They end: whoever has a refresh token may have it by the old password.
    End,
    /// They go on.
    Keep,
}

/// A user who was given another password.
pub struct PasswordSet {
    /// The user as of now.
    pub record: UserRecord,
    /// How many sessions were ended.
    pub ended_sessions: u64,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn kept(text: &str) -> Option<String> {
        Username::parse(text).ok().map(|name| name.0)
    }

    #[test]
    fn names_that_look_the_same_are_the_same() {
        for typed in ["alice", "ALICE", "Alice", "ａｌｉｃｅ", "Ａlice"] {
            assert_eq!(kept(typed).as_deref(), Some("alice"), "{typed}");
        }
        // e and an accent, or both in one; and a letter whose capital and small forms differ in length.
        assert_eq!(kept("Rene\u{301}"), kept("ren\u{e9}"));
        assert_eq!(kept("İ"), kept("i\u{307}"));
    }

    #[test]
    fn a_kept_name_is_its_own_form() {
        for code in (0..=0x1_ffff).filter_map(char::from_u32) {
            if let Some(name) = kept(&code.to_string()) {
                assert_eq!(kept(&name).unwrap(), name, "{code:?}");
            }
        }
    }

    #[test]
    fn what_nobody_can_see_is_no_name() {
        for wrong in ["", " ", " alice", "alice ", "alice\n", "a\0b", "a\u{85}b", "\u{a0}alice"] {
            assert!(kept(wrong).is_none(), "{wrong:?}");
        }
        for unseen in
            ['\u{200b}', '\u{200d}', '\u{202e}', '\u{2060}', '\u{ad}', '\u{feff}', '\u{fe0f}', '\u{e0041}']
        {
            assert!(kept(&format!("al{unseen}ice")).is_none(), "{unseen:?}");
        }
        assert!(kept(&"a".repeat(255)).is_some());
        assert!(kept(&"a".repeat(256)).is_none());
        // Short as typed, long as kept: one character of three bytes becomes eighteen.
        assert!(kept(&"\u{fdfa}".repeat(80)).is_none());
    }

    #[test]
    fn an_id_can_stand_anywhere() {
        assert!(UserId::parse("u-1").is_ok());
        assert!(UserId::parse("https://idp.example/users/42#me").is_ok());
        for wrong in ["", "a b", "a\n", "ä", &"a".repeat(256)] {
            assert!(UserId::parse(wrong).is_err(), "{wrong:?}");
        }
        assert_ne!(UserId::generate().unwrap(), UserId::generate().unwrap());
    }
}

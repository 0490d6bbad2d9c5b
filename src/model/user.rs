//! Users, who log in with a name and a password.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

use super::{ExtraClaims, PasswordHash, UnixTime};
use crate::random::{self, RandomError};

/// A user's id, and the subject of the user's tokens: 1 to 255 printable ASCII characters other than space.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(String);

/// A text that is not a user id.
#[derive(Debug, thiserror::Error)]
#[error("must be 1 to 255 printable characters of ASCII without a space")]
pub struct InvalidUserId;

impl UserId {
    /// Parses a user id.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidUserId> {
        let text = text.into();
        let well_formed = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if well_formed { Ok(Self(text)) } else { Err(InvalidUserId) }
    }

    /// Generates an id: `u-` and 80 random bits in hexadecimal.
    pub(crate) fn generate() -> Result<Self, RandomError> {
        let hex: String = random::bytes::<10>()?.iter().map(|byte| format!("{byte:02x}")).collect();
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

/// A user's name in its normal form: NFKC, in lower case. It has no `Debug`: a password may have been typed in its place. The default
/// is empty, which no user has.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Username(String);

/// A text that is not a user name.
#[derive(Debug, thiserror::Error)]
#[error("must be 1 to 255 bytes of text, without invisible characters and without white space at its ends")]
pub struct InvalidUsername;

impl Username {
    /// The longest name, in bytes: as it was typed, and as it is kept.
    const LONGEST: usize = 255;

    /// Normalizes a name.
    ///
    /// # Errors
    /// When it is empty or too long, or contains invisible characters.
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

    /// The name in its normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character is invisible, so that two names with and without it look the same: control characters and Unicode's
/// Default_Ignorable_Code_Point, which includes the bidirectional control characters.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A user without the password hash.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The user's id.
    pub user_id: UserId,
    /// The settings that operators choose.
    pub settings: UserSettings,
    /// When the user was created.
    pub create_time: UnixTime,
    /// When the user was last changed.
    pub update_time: UnixTime,
    /// When the password was last set.
    pub password_update_time: UnixTime,
    /// Counts the changes, from a random start.
    pub revision: i64,
}

/// The settings that operators choose for a user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserSettings {
    /// The unique login name.
    pub username: Username,
    /// A disabled user is rejected like an unknown one.
    pub disabled: bool,
    /// Claims of the user's tokens.
    pub claims: ExtraClaims,
    /// The largest scope of the user's tokens.
    pub scopes: Vec<String>,
}

/// A user with the password hash.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The user.
    pub user: User,
    /// The password hash.
    pub password: PasswordHash,
}

/// Whether a user's sessions end when another password is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldSessions {
    /// The sessions end: their refresh tokens may have been obtained with the old password.
    End,
    /// The sessions continue.
    Keep,
}

/// The result of setting a password.
pub struct PasswordSet {
    /// The changed user.
    pub record: UserRecord,
    /// The number of ended sessions.
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
        // A decomposed and a composed letter; a letter whose upper and lower case differ in length.
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
        // Normalization makes eighteen characters of this one of three bytes.
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

//! Texts of callers, such as those in a request or a token.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use serde::{Serialize, Serializer};

use crate::model::{REDACTED, holds_credential};

/// The limit of a text in a record, in bytes, before escaping.
const LONGEST: usize = 256;

/// The limit of the part that is searched for credentials, in bytes: twice the longest token.
const SEARCHED: usize = 16 * 1024;

/// A text that a client chose. It is kept unchanged, and escaped when it is serialized: truncated at 256 bytes, with control and
/// formatting characters as `\u{…}` and a backslash as two, so that it deceives no terminal, parser or reader. A text that contains a
/// credential is redacted as a whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// A text from a caller. The part after the first 16 KiB, which is not searched for credentials, is dropped.
    pub fn of(raw: &str) -> Self {
        Self(raw.get(..raw.floor_char_boundary(SEARCHED)).unwrap_or_default().to_owned())
    }

    /// Its approximate size in memory, in bytes.
    pub(crate) const fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.len()
    }

    /// The text as it is serialized.
    pub fn written(&self) -> Cow<'_, str> {
        let raw = self.0.as_str();
        if holds_credential(raw) {
            return REDACTED.into();
        }
        if raw.len() <= LONGEST && raw.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\') {
            return raw.into();
        }
        let end = raw.floor_char_boundary(LONGEST);
        let (kept, cut) = raw.split_at_checked(end).unwrap_or((raw, ""));
        let mut text = String::with_capacity(kept.len());
        for character in kept.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                unfit if is_unfit(unfit) => {
                    let _ = write!(text, "{}", unfit.escape_unicode());
                }
                fit => text.push(fit),
            }
        }
        if !cut.is_empty() {
            text.push('…');
        }
        text.into()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.written())
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written())
    }
}

/// Control characters, and invisible characters that change how others are displayed.
fn is_unfit(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deceptive_characters_are_escaped() {
        for (raw, fit) in [
            ("alice", "alice"),
            ("Zoë 王 \"x\" {}", "Zoë 王 \"x\" {}"),
            ("a\nb\r\t\0\u{1b}[2J", "a\\u{a}b\\u{d}\\u{9}\\u{0}\\u{1b}[2J"),
            ("a\\u{a}b", "a\\\\u{a}b"),
            ("\u{202e}gro.elpmaxe\u{2066}", "\\u{202e}gro.elpmaxe\\u{2066}"),
            ("\u{7f}\u{85}\u{2028}\u{feff}", "\\u{7f}\\u{85}\\u{2028}\\u{feff}"),
        ] {
            assert_eq!(Text::of(raw).written(), fit);
        }
    }

    #[test]
    fn a_long_text_is_truncated_between_two_characters() {
        assert_eq!(Text::of(&"a".repeat(256)).written(), "a".repeat(256));
        assert_eq!(Text::of(&"a".repeat(257)).written(), format!("{}…", "a".repeat(256)));
        assert_eq!(Text::of(&"é".repeat(200)).written(), format!("{}…", "é".repeat(128)));
        assert_eq!(Text::of(&format!("a{}", "é".repeat(200))).written(), format!("a{}…", "é".repeat(127)));
    }

    #[test]
    fn a_credential_in_the_wrong_field_is_redacted() {
        for raw in [
            "eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
            "Bearer eyJhbGciOiJFUzI1NiJ9.e30.A",
            "x tkd_web_abc",
            "leaked: tkr_abc",
        ] {
            assert_eq!(Text::of(raw).written(), REDACTED);
        }
        assert_eq!(Text::of("eyJames").written(), "eyJames");
    }
}

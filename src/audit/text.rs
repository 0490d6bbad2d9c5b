//! Strings that come from outside, such as those of a request or a token.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use serde::{Serialize, Serializer};

use crate::model::{REDACTED, holds_credential};

/// The longest text of a line, in bytes, before what is escaped in it.
const LONGEST: usize = 256;

/// How much of a text is searched for credentials, in bytes: twice the longest token.
const LOOKED_AT: usize = 16 * 1024;

/// A text that a client chose, unchanged. It is escaped when it is serialized: truncated at 256 bytes, and with nothing in it that a terminal, a parser or a reader could take for something else. Control and formatting characters are written as
/// `\u{…}`, a backslash as two. A text that holds a credential is redacted as a whole, whatever the field.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// A text from a caller. What is behind the part that is searched for credentials is not kept.
    pub fn of(raw: &str) -> Self {
        Self(raw.get(..raw.floor_char_boundary(LOOKED_AT)).unwrap_or_default().to_owned())
    }

    /// About how many bytes of memory it takes.
    pub(crate) const fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.len()
    }

    /// The text as it is written.
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

/// Control characters, and those that have no shape but change how others are shown.
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
    fn what_could_deceive_is_spelled_out() {
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
    fn a_long_text_is_cut_between_two_characters() {
        assert_eq!(Text::of(&"a".repeat(256)).written(), "a".repeat(256));
        assert_eq!(Text::of(&"a".repeat(257)).written(), format!("{}…", "a".repeat(256)));
        assert_eq!(Text::of(&"é".repeat(200)).written(), format!("{}…", "é".repeat(128)));
        assert_eq!(Text::of(&format!("a{}", "é".repeat(200))).written(), format!("a{}…", "é".repeat(127)));
    }

    #[test]
    fn a_token_or_a_secret_in_the_wrong_field_is_not_written() {
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

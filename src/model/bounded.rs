//! Texts from elsewhere in errors and logs.

use std::fmt;

use super::redact;

/// A text from elsewhere, without credentials, escaped and cut short.
pub struct Bounded<'a>(pub &'a str);

impl fmt::Display for Bounded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 64;
        let text = redact(self.0);
        let mut characters = text.chars();
        characters.by_ref().take(MOST).try_for_each(|character| write!(f, "{}", character.escape_debug()))?;
        if characters.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::Bounded;

    #[test]
    fn texts_are_escaped_and_cut_short() {
        assert_eq!(Bounded("a\"b\n\u{1b}ü").to_string(), "a\\\"b\\n\\u{1b}ü");
        assert_eq!(Bounded("tkr_abc").to_string(), "(redacted)");
        assert_eq!(Bounded(&"x".repeat(64)).to_string(), "x".repeat(64));
        assert_eq!(Bounded(&"x".repeat(65)).to_string(), format!("{}…", "x".repeat(64)));
    }
}

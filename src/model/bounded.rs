//! Untrusted text in errors and logs.

use std::fmt;

use super::redact;

/// Displays an untrusted text: redacted, escaped and truncated.
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

/// The texts, each [`Bounded`], with commas between them; at most eight, because they are sent in headers.
pub fn bounded_list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 8;
    let mut texts = texts.into_iter();
    let mut shown: Vec<String> = texts.by_ref().take(MOST).map(|text| Bounded(text).to_string()).collect();
    if texts.next().is_some() {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Bounded, bounded_list};

    #[test]
    fn a_list_fits_a_header() {
        let long = "\u{fc}".repeat(4000);
        let list = bounded_list(vec![long.as_str(); 500]);
        assert_eq!(list.chars().filter(|character| *character == ',').count(), 8);
        assert!(list.len() < 1200 && list.ends_with('…'), "{list}");
        assert_eq!(bounded_list(["orders", "a\nb", "tkr_abc"]), "orders, a\\nb, (redacted)");
    }

    #[test]
    fn texts_are_escaped_and_cut_short() {
        assert_eq!(Bounded("a\"b\n\u{1b}ü").to_string(), "a\\\"b\\n\\u{1b}ü");
        assert_eq!(Bounded("tkr_abc").to_string(), "(redacted)");
        assert_eq!(Bounded(&"x".repeat(64)).to_string(), "x".repeat(64));
        assert_eq!(Bounded(&"x".repeat(65)).to_string(), format!("{}…", "x".repeat(64)));
    }
}

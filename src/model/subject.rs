//! Subjects of other issuers in tokens of this issuer.

use std::fmt::Write as _;

/// The prefix of subjects of other issuers. No client id and no new user id may begin with it.
pub const FOREIGN_SUBJECT: &str = "foreign:";

/// The longest subject in bytes.
pub const LONGEST_SUBJECT: usize = 255;

/// The default prefix of the subjects of an issuer: `foreign:https://partner.example#`. `%` and `#` in the issuer are percent-encoded
/// (RFC 3986 section 2.1): the first `#` ends the issuer, so that no two issuers share a subject.
pub fn foreign_prefix(issuer: &str) -> String {
    let mut prefix = String::with_capacity(FOREIGN_SUBJECT.len() + issuer.len() + 1);
    prefix.push_str(FOREIGN_SUBJECT);
    for character in issuer.chars() {
        // Writing to memory cannot fail.
        let _ = match character {
            '%' | '#' => write!(prefix, "%{:02X}", u32::from(character)),
            other => prefix.write_char(other),
        };
    }
    prefix.push('#');
    prefix
}

#[cfg(test)]
mod tests {
    use super::foreign_prefix;

    #[test]
    fn no_two_issuers_share_a_subject() {
        assert_eq!(foreign_prefix("https://partner.example"), "foreign:https://partner.example#");
        // Without the encoding, "https://a" could claim the subjects of "https://a#b".
        assert_eq!(foreign_prefix("https://a#b") + "x", "foreign:https://a%23b#x");
        assert_eq!(foreign_prefix("https://a") + "b#x", "foreign:https://a#b#x");
        assert_ne!(foreign_prefix("https://a%23b"), foreign_prefix("https://a#b"));
    }
}

//! Passwords and their hashes, which cannot be printed.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// A password in plain text, in NFC. Its memory is erased after use. The default is empty, which no user has.
#[derive(Clone, Default)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The longest password, in bytes: as it was typed, and in its NFC form.
    pub const LONGEST: usize = 1024;

    /// A typed password, normalized; `None` if it is too long.
    pub fn typed(text: String) -> Option<Self> {
        let text = Zeroizing::new(text);
        if text.len() > Self::LONGEST {
            return None;
        }
        // NFC makes a text at most three times as long: with that capacity, no copy is left in memory by growing.
        let mut form = Zeroizing::new(String::with_capacity(text.len() * 3));
        form.extend(text.nfc());
        (form.len() <= Self::LONGEST).then_some(Self(form))
    }

    /// Whether nothing was typed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes to hash.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The text, for the password rules.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The hash of a password: argon2 in PHC string format, or an imported bcrypt hash. It cannot be printed: a weak password can be
/// found from it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Zeroizing<String>);

impl PasswordHash {
    /// A hash that the store keeps.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, for the store and for verification.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(redacted)")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::Password;

    #[test]
    fn one_password_has_one_form() {
        let typed = |text: &str| Password::typed(text.to_owned()).unwrap().as_str().to_owned();
        assert_eq!(typed("cafe\u{301} au lait"), typed("caf\u{e9} au lait"));
        // Case and width are part of a password, other than of a name.
        assert_ne!(typed("Password"), typed("password"));
        assert_ne!(typed("ｐassword"), typed("password"));
    }

    #[test]
    fn no_password_is_endless() {
        assert!(Password::typed("x".repeat(1024)).is_some());
        assert!(Password::typed("x".repeat(1025)).is_none());
        // A note of four bytes that becomes three characters: the limit holds for both forms.
        assert!(Password::typed("\u{1d160}".repeat(256)).is_none());
    }
}

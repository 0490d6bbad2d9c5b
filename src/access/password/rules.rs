//! Password rules: a minimum length and a list of common passwords (NIST SP 800-63B section 3.1.1.2), and no rules about kinds of
//! characters, which make passwords worse.

use crate::model::{Password, Username};

/// The minimum length of a password, in bytes.
const MIN_LENGTH: usize = 8;

/// The rule that a password breaks. The text contains nothing of the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Fewer than 8 bytes.
    #[error("must have at least 8 bytes")]
    Short,
    /// U+0000, at which some programs end a text.
    #[error("must not contain the character U+0000")]
    Nul,
    /// A common password.
    #[error("is one of the most common passwords")]
    Common,
    /// The username.
    #[error("must not be the username")]
    OwnName,
}

pub(crate) fn check(password: &Password, username: &Username) -> Result<(), WeakPassword> {
    let text = password.as_str();
    if text.len() < MIN_LENGTH {
        return Err(WeakPassword::Short);
    }
    if text.contains('\0') {
        return Err(WeakPassword::Nul);
    }
    // Makes no lower-case copy of the password, which would stay in memory.
    let same = |other: &str| text.chars().flat_map(char::to_lowercase).eq(other.chars());
    if COMMON.split(' ').any(same) {
        return Err(WeakPassword::Common);
    }
    // One repeated character.
    let mut characters = text.chars();
    let first = characters.next();
    if characters.all(|character| Some(character) == first) {
        return Err(WeakPassword::Common);
    }
    if same(username.as_str()) {
        return Err(WeakPassword::OwnName);
    }
    Ok(())
}

/// The most common passwords of at least 8 bytes in published lists of leaked passwords, in lower case.
const COMMON: &str = "\
    0123456789 1111111111 11223344 1234567890 12341234 12344321 12345678 123456789 1234567891 \
    123456789a 1234qwer 123qweasd 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qazxsw2 87654321 987654321 9876543210 \
    abc12345 abcd1234 abcdefgh admin123 administrator asdf1234 asdfasdf asdfghjk asdfghjkl baseball \
    basketball changeme changeit charlie1 computer corvette football football1 iloveyou iloveyou1 \
    internet jennifer letmein1 liverpool michelle mustang1 p@ssw0rd p@ssword passw0rd password \
    password1 password1! password12 password123 princess q1w2e3r4 qazwsxedc qwer1234 qwerty12 qwerty123 \
    qwertyui qwertyuiop starwars sunshine superman";

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn checked(password: &str, username: &str) -> Option<WeakPassword> {
        let password = Password::typed(password.to_owned()).unwrap();
        check(&password, &Username::parse(username).unwrap()).err()
    }

    #[test]
    fn each_rule_rejects_its_passwords_only() {
        assert_eq!(checked("seven77", "alice"), Some(WeakPassword::Short));
        assert_eq!(checked("eight888", "alice"), None);
        assert_eq!(checked("äöüß", "alice"), None, "bytes are counted, not characters");
        assert_eq!(checked("long enough\0", "alice"), Some(WeakPassword::Nul));
        assert_eq!(checked("PassWord123", "alice"), Some(WeakPassword::Common));
        assert_eq!(checked("password1234", "alice"), None);
        assert_eq!(checked("zzzzzzzzzzzz", "alice"), Some(WeakPassword::Common));
        assert_eq!(checked("zzzzzzzzzzzy", "alice"), None);
        assert_eq!(checked("Alice@Example.com", "alice@example.com"), Some(WeakPassword::OwnName));
    }

    #[test]
    fn the_common_passwords_are_long_enough_and_in_lower_case() {
        assert!(
            COMMON.split(' ').all(|common| common.len() >= MIN_LENGTH && common.to_lowercase() == common)
        );
    }
}

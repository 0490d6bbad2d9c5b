//! The formats of credentials, and [`redact`], which removes credentials from the audit log, logs, traces and errors.

use std::{borrow::Cow, iter};

use base64::{
    Engine as _, alphabet,
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig,
        general_purpose::URL_SAFE_NO_PAD as BASE64URL,
    },
};

/// The prefix of generated client secrets, by which secret scanners find them.
pub const CLIENT_SECRET_PREFIX: &str = "tkd_";
/// The prefix of refresh tokens.
pub const REFRESH_TOKEN_PREFIX: &str = "tkr_";

/// The prefixes of credentials. The code that generates credentials uses the same constants.
pub const CREDENTIAL_PREFIXES: [&str; 9] = [
    CLIENT_SECRET_PREFIX,
    REFRESH_TOKEN_PREFIX,
    // Vault and OpenBao: service, batch and recovery tokens.
    "hvs.",
    "hvb.",
    "hvr.",
    // Password hashes of imported users.
    "$argon2",
    "$2a$",
    "$2b$",
    "$2y$",
];

/// Replaces a credential.
pub const REDACTED: &str = "(redacted)";

/// The private members of a JWK (RFC 7518 section 6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "k", "p", "q", "dp", "dq", "qi", "priv"];

/// The shortest text after `Bearer` that is taken for a credential. Words of a sentence are shorter.
const SHORTEST_BEARER: usize = 16;
/// The shortest text without `Basic` before it that is looked at as a `Basic` value.
const SHORTEST_BASIC: usize = 24;
/// A longer part of a JWT is taken for one without the others.
const LONGEST_PART: usize = 64;
/// The shortest value of a private member: 32 bytes are 43 characters.
const SHORTEST_PRIVATE: usize = 40;

/// `Basic` credentials, padded or not, in either alphabet.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
static BASE64: [(GeneralPurpose, [char; 2]); 2] = [
    (GeneralPurpose::new(&alphabet::STANDARD, LENIENT), ['+', '/']),
    (GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT), ['-', '_']),
];

/// Replaces each credential in a text by [`REDACTED`]. Credentials are JWTs, texts with one of [`CREDENTIAL_PREFIXES`], `Basic` and
/// `Bearer` values, private keys as PEM or JWK, and passwords in URLs. Secrets without a format are not recognized: passwords, sealing
/// keys, and client secrets that an operator chose.
pub fn redact(text: &str) -> Cow<'_, str> {
    // `\n` before a token is an escape sequence in a JSON string, and may be part of a word in any other text: both readings count.
    let unescaped = if text.contains('\\') { replaced(text, true) } else { None };
    let whole = replaced(unescaped.as_deref().unwrap_or(text), false);
    whole.or(unescaped).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Whether a text contains a credential.
pub fn holds_credential(text: &str) -> bool {
    found(text, false) || text.contains('\\') && found(text, true)
}

/// The text with its credentials replaced; `None` without credentials.
fn replaced(text: &str, escapes: bool) -> Option<String> {
    if !found(text, escapes) {
        return None;
    }
    let mut context = Context::default();
    let shown = words(text, escapes)
        .flat_map(|word| [if context.holds(&word) { REDACTED } else { word.text }, word.end]);
    Some(shown.collect())
}

fn found(text: &str, escapes: bool) -> bool {
    let mut context = Context::default();
    words(text, escapes).any(|word| context.holds(&word))
}

/// A word of a text.
struct Word<'t> {
    text: &'t str,
    /// The separator between the word and the next.
    end: &'t str,
    /// The classes of the word's bytes, such as [`DOT`].
    classes: u8,
}

/// The classes of ASCII bytes that a search for credentials distinguishes: most words have no byte that a credential must have, and
/// need no closer look.
const SEPARATOR: u8 = 1;
const DOT: u8 = 2;
const AT: u8 = 4;
const DASH: u8 = 8;
/// The bytes that [`CREDENTIAL_PREFIXES`] begin with.
const FIRST: u8 = 16;
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where a panic is an error")]
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        #[expect(clippy::cast_possible_truncation, reason = "below 128")]
        let ascii = byte as u8;
        classes[byte] = match ascii {
            b'\\' | b'"' | b'\'' | b'`' | b',' | b';' | b'<' | b'>' | b'|' => SEPARATOR,
            b'(' | b')' | b'[' | b']' | b'{' | b'}' | b' ' => SEPARATOR,
            b'.' => DOT,
            b'@' => AT,
            b'-' => DASH,
            b't' | b'h' | b'$' => FIRST,
            _ if ascii.is_ascii_control() => SEPARATOR,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// The words of a text. With `escapes`, an escape sequence of JSON separates words.
fn words(text: &str, escapes: bool) -> impl Iterator<Item = Word<'_>> {
    // The rest of an escape sequence, counted down: 1 for its letter, then 5 to 2 for four digits.
    let (mut rest, mut escape) = (text, 0_u8);
    iter::from_fn(move || {
        let (mut classes, mut length, mut next) = (0, rest.len(), rest.len());
        for (at, byte) in rest.bytes().enumerate() {
            let within = escape > 0;
            escape = match (escape, byte) {
                (0, b'\\') if escapes => 1,
                (0, _) => 0,
                (1, b'u') => 5,
                (3..=5, _) => escape - 1,
                _ => 0,
            };
            let class = CLASSES.get(usize::from(byte)).copied().unwrap_or_default();
            let is_end = within || class & SEPARATOR != 0 || byte >= 0xc2 && is_space_at(rest, at);
            if is_end {
                length = at;
                next = at + rest.get(at..)?.chars().next()?.len_utf8();
                break;
            }
            classes |= class;
        }
        let word = Word { text: rest.get(..length)?, end: rest.get(length..next)?, classes };
        rest = rest.get(next..)?;
        (next > 0).then_some(word)
    })
}

/// Whether the character that begins at `at` is white space or a control character.
fn is_space_at(text: &str, at: usize) -> bool {
    let character = text.get(at..).and_then(|rest| rest.chars().next());
    character.is_some_and(|character| character.is_whitespace() || character.is_control())
}

/// The preceding words.
#[derive(Default)]
struct Context<'t> {
    before: &'t str,
    in_pem: bool,
}

impl<'t> Context<'t> {
    /// Whether the next word is, or holds, a credential.
    fn holds(&mut self, word: &Word<'t>) -> bool {
        let Word { text, classes, .. } = *word;
        if text.bytes().all(|byte| matches!(byte, b':' | b'=')) {
            return false;
        }
        let before = std::mem::replace(&mut self.before, text);
        let has_dashes = classes & DASH != 0;
        let ended = self.in_pem && has_dashes && text.contains("-----END");
        self.in_pem = !ended && (self.in_pem || has_dashes && text.contains("-----BEGIN"));
        self.in_pem
            || (classes & FIRST != 0 && has_prefix(text))
            || ((classes & DOT != 0 || text.len() > LONGEST_PART) && is_jwt_in(text))
            || (classes & AT != 0 && has_password(text))
            || (text.len() >= SHORTEST_BEARER && before.eq_ignore_ascii_case("bearer"))
            || (text.len() >= SHORTEST_PRIVATE && PRIVATE_MEMBERS.contains(&before))
            || is_basic(text, before.eq_ignore_ascii_case("basic"))
    }
}

const fn is_base64url(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

/// Whether a word contains a JWT.
fn is_jwt_in(word: &str) -> bool {
    word.split(|character| !is_base64url(character) && character != '.').any(is_jwt)
}

/// Whether a text is a JWT (RFC 7519 section 3) or its start: the base64url of a JSON object, followed by another part.
fn is_jwt(text: &str) -> bool {
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('.').map_or((rest, None), |(part, after)| (part, Some(after)));
        if (after.is_some() || part.len() > LONGEST_PART) && is_object(part) {
            return true;
        }
        let Some(after) = after else { return false };
        rest = after;
    }
}

/// Whether a part starts like the base64url of a JSON object: `{`, followed by a member or the end.
fn is_object(part: &str) -> bool {
    let whole = part.len().min(64) / 4 * 4;
    let mut bytes = [0; 48];
    let decoded = part.get(..whole).and_then(|part| BASE64URL.decode_slice(part, &mut bytes).ok());
    let Some(bytes) = decoded.and_then(|length| bytes.get(..length)) else { return false };
    bytes.trim_ascii_start().strip_prefix(b"{").is_some_and(|inner| {
        matches!(inner.trim_ascii_start().first(), None | Some(b'"' | b'}')) && !inner.is_empty()
    })
}

/// Whether two bytes begin one of [`CREDENTIAL_PREFIXES`].
const fn is_prefix_start(pair: &[u8]) -> bool {
    matches!(pair, b"tk" | b"hv" | b"$a" | b"$2")
}

/// Whether a word has a prefix of a credential. A prefix with a dot is Vault's, and may be part of a host name.
fn has_prefix(word: &str) -> bool {
    let mut starts = word.as_bytes().windows(2).enumerate().filter(|(_, pair)| is_prefix_start(pair));
    starts.any(|(at, _)| {
        let Some((before, rest)) = word.split_at_checked(at) else { return false };
        CREDENTIAL_PREFIXES.iter().filter(|prefix| rest.starts_with(**prefix)).any(|prefix| {
            let is_own = !before.ends_with(|last: char| last.is_alphanumeric()) && rest.len() >= 24;
            !prefix.ends_with('.') || is_own
        })
    })
}

/// Whether a text is a URL with a password (RFC 3986 section 3.2.1). In a database URL, the password may contain unescaped delimiters.
fn has_password(word: &str) -> bool {
    let Some((scheme, rest)) = word.split_once("://") else { return false };
    let user = if scheme.ends_with("postgres") || scheme.ends_with("postgresql") {
        rest.rsplit_once('@')
    } else {
        rest.split(['/', '?', '#']).next().and_then(|authority| authority.rsplit_once('@'))
    };
    user.and_then(|(user, _)| user.split_once(':')).is_some_and(|(_, password)| !password.is_empty())
}

/// Whether a text contains the base64 of `id:secret` (RFC 7617): of any secret after `Basic`, else of one with a prefix.
fn is_basic(word: &str, after_basic: bool) -> bool {
    let known = |bytes: &[u8]| {
        [CLIENT_SECRET_PREFIX, REFRESH_TOKEN_PREFIX]
            .iter()
            .any(|prefix| bytes.windows(prefix.len()).any(|window| window == prefix.as_bytes()))
    };
    let shortest = if after_basic { 4 } else { SHORTEST_BASIC };
    if word.len() < shortest {
        return false;
    }
    BASE64.iter().any(|(engine, symbols)| {
        let parts =
            word.split(|character: char| !character.is_ascii_alphanumeric() && !symbols.contains(&character));
        let mut long = parts.filter(|part| part.len() >= shortest);
        long.any(|part| {
            // A longer `Basic` value is never accepted.
            let mut bytes = [0; 1023];
            let decoded =
                part.get(..part.len().min(1364)).and_then(|part| engine.decode_slice(part, &mut bytes).ok());
            let bytes = decoded.and_then(|length| bytes.get(..length)).unwrap_or_default();
            known(bytes) || (after_basic && bytes.contains(&b':') && std::str::from_utf8(bytes).is_ok())
        })
    })
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests fail by panicking")]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";

    #[test]
    fn prefixes_begin_with_the_bytes_that_are_looked_for() {
        let class = |prefix: &str| CLASSES[usize::from(prefix.as_bytes()[0])];
        assert!(CREDENTIAL_PREFIXES.iter().all(|prefix| class(prefix) == FIRST));
        assert!(CREDENTIAL_PREFIXES.iter().all(|prefix| is_prefix_start(&prefix.as_bytes()[..2])));
    }

    #[test]
    fn words_end_at_separators_of_every_script() {
        let words =
            |text, escapes| words(text, escapes).map(|word| [word.text, word.end]).collect::<Vec<_>>();
        assert_eq!(words("a\u{a0}bé,\u{2028}", false), [["a", "\u{a0}"], ["bé", ","], ["", "\u{2028}"]]);
        assert_eq!(words("\u{85}x", false), [["", "\u{85}"], ["x", ""]]);
        let escaped = [
            ["a", "\\"],
            ["", "n"],
            ["b", "\\"],
            ["", "u"],
            ["", "0"],
            ["", "0"],
            ["", "é"],
            ["", "9"],
            ["c", ""],
        ];
        assert_eq!(words("a\\nb\\u00é9c", true), escaped);
        assert_eq!(words("", false), Vec::<[&str; 2]>::new());
    }

    #[test]
    fn every_form_is_found_wherever_it_stands() {
        let secret = format!("{CLIENT_SECRET_PREFIX}web_{}", "A".repeat(43));
        let key = "x".repeat(43);
        let mut forms = vec![
            TOKEN.to_owned(),
            // Headers with leading white space, and the first two parts alone.
            format!("{}.e30.AAAA", BASE64URL.encode("{ \"alg\":\"ES256\"}")),
            format!("{}.e30.AAAA", BASE64URL.encode("{\r\n\"alg\":\"ES256\"}")),
            format!("{}.e30.AAAA", BASE64URL.encode(" \n{\"alg\":\"ES256\"}")),
            "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0".to_owned(),
            STANDARD.encode(format!("web:{secret}")),
            BASE64URL.encode(&secret),
            "postgres://tokend:hunter#/?2@db.internal/tokend".to_owned(),
            "http://user:hunter2@proxy.internal:3128/x".to_owned(),
        ];
        forms.extend(CREDENTIAL_PREFIXES.iter().map(|prefix| format!("{prefix}{key}")));
        for form in forms {
            for text in [
                form.clone(),
                format!("leaked:{form}"),
                format!("token={form}&x=1"),
                format!("{{\"reason\":\"{form}\"}}"),
                format!("{{\"reason\":\"x\\n{form}\\u000a{form}\\\"\"}}"),
                format!("C:\\{form}"),
                format!("a, b ({form}), {form}."),
            ] {
                let shown = redact(&text);
                assert!(shown.contains(REDACTED), "{text} -> {shown}");
                assert!(!shown.contains(form.get(5..).unwrap_or_default()), "{text} -> {shown}");
                assert_eq!(redact(&shown), shown, "a second time changes nothing");
            }
        }
        for (text, shown) in [
            ("Bearer hunter2-hunter2-hunter2", "Bearer (redacted)".to_owned()),
            (&*format!("basic {}", STANDARD.encode("web:hunter2")), "basic (redacted)".to_owned()),
            (&format!(r#"{{"kty":"EC","d":"{key}"}}"#), r#"{"kty":"EC","d":"(redacted)"}"#.to_owned()),
            (
                &format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY----- x"),
                format!("{0} {0} {0}\n{0}\n-----END PRIVATE KEY----- x", REDACTED),
            ),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn the_strings_of_a_json_line_stay_strings() {
        let line = format!(
            "{{\"error\":\"a \\\"{TOKEN}\\\" \\\\{TOKEN}\\n{TOKEN}\\u0009{TOKEN}\",\"level\":\"INFO\"}}\n"
        );
        let shown = redact(&line);
        assert_eq!(
            shown,
            "{\"error\":\"a \\\"(redacted)\\\" \\\\(redacted)\\n(redacted)\\u0009(redacted)\",\"level\":\"INFO\"}\n"
        );
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in [
            "",
            "alice",
            "eyJames",
            "eyes.wide.shut",
            "user.name@example.com",
            "a Basic authentication error, Bearer token missing",
            "https://id.example.com:8443/jwks?x=1",
            "https://id.example.com:8443/users/alice@example.com",
            "archvs.example.com, hvs.example",
            "spiffe://a/b",
            "postgres://tokend@db.internal/tokend",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            "key d of 12, C:\\tokend\\users\\new",
            "Zoë 王 \u{1f511}\\",
            "\\u12",
        ] {
            assert!(
                matches!(redact(text), Cow::Borrowed(shown) if shown == text),
                "{text} -> {}",
                redact(text)
            );
        }
    }
}

//! Parameters in `application/x-www-form-urlencoded` (WHATWG URL section 5.1, RFC 6749 appendix B), read strictly.

use std::fmt;

/// The most parameters of a request. OAuth 2.0 defines some fifteen.
const MAX_PARAMETERS: usize = 100;

/// The parameters that may be repeated (RFC 8693 section 2.1, RFC 8707 section 2).
const REPEATABLE: [&str; 2] = ["audience", "resource"];

/// Parameters, each at most once, except for those that may be repeated.
#[derive(Default)]
pub(super) struct Parameters(Vec<(String, String)>);

/// Never the values: they are credentials.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Parameters {
    /// Parses a form or the query of a URI. Parameters without a value count as absent (RFC 6749 section 3.1).
    ///
    /// # Errors
    /// When the encoding is malformed, or a parameter is repeated. The text names no value.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let mut parameters = Self::default();
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (pair.get(..at), pair.get(at + 1..)),
                None => (Some(pair), None),
            };
            let name = name.and_then(decode).ok_or("the name of a parameter is not encoded as a form")?;
            let value = decode(value.unwrap_or_default())
                .ok_or_else(|| format!("{}: is not encoded as a form", printable(&name)))?;
            if value.is_empty() {
                continue;
            }
            if parameters.0.len() == MAX_PARAMETERS {
                return Err(format!("there are more than {MAX_PARAMETERS} parameters"));
            }
            if parameters.get(&name).is_some() && !REPEATABLE.contains(&name.as_str()) {
                return Err(format!("{}: is there more than once", printable(&name)));
            }
            parameters.0.push((name, value));
        }
        Ok(parameters)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The value, or an empty text.
    pub(super) fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    pub(super) fn all<'p>(&'p self, name: &str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The values of `audience` and `resource`: both name audiences of the token.
    pub(super) fn audiences(&self) -> Vec<String> {
        self.0
            .iter()
            .filter(|(name, _)| REPEATABLE.contains(&name.as_str()))
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// The words of `scope` (RFC 6749 section 3.3).
    pub(super) fn scopes(&self) -> Vec<String> {
        self.get("scope")
            .unwrap_or_default()
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

/// Decodes `+` and `%XX`. Returns nothing for an incomplete escape and for text that is not UTF-8.
pub(super) fn decode(text: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(*rest.next()?)? << 4 | hex_digit(*rest.next()?)?,
            other => *other,
        });
    }
    String::from_utf8(decoded).ok()
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// A parameter's name for an error message.
fn printable(name: &str) -> String {
    name.chars()
        .take(40)
        .map(|character| if character.is_ascii_graphic() { character } else { '?' })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_empty_ones_are_absent() {
        let form =
            Parameters::parse(b"scope=a+b%20c&&audience=x&audience=y&resource=z&state=&flag&%74oken=%C3%BC")
                .unwrap();
        assert_eq!(form.scopes(), ["a", "b", "c"]);
        assert_eq!(form.audiences(), ["x", "y", "z"]);
        assert_eq!(form.get("token"), Some("ü"));
        assert_eq!((form.get("state"), form.get("flag"), form.get("missing")), (None, None, None));
        assert_eq!(format!("{form:?}"), r#"["scope", "audience", "audience", "resource", "token"]"#);
    }

    #[test]
    fn malformed_and_repeated_parameters_are_refused_by_name() {
        for (text, problem) in [
            (&b"token=%"[..], "token: is not encoded as a form"),
            (b"token=%4", "token: is not encoded as a form"),
            (b"token=%zz", "token: is not encoded as a form"),
            (b"token=%+4", "token: is not encoded as a form"),
            (b"token=%FF", "token: is not encoded as a form"),
            (b"token=\xff", "token: is not encoded as a form"),
            (b"%F=x", "the name of a parameter is not encoded as a form"),
            (b"token=a&token=b", "token: is there more than once"),
            (b"token=a&%74oken=a", "token: is there more than once"),
            (b"a%0Ab=1&a%0Ab=2", "a?b: is there more than once"),
        ] {
            assert_eq!(Parameters::parse(text).unwrap_err(), problem);
        }
        let many: Vec<String> = (0..101).map(|number| format!("p{number}=1")).collect();
        assert_eq!(
            Parameters::parse(many.join("&").as_bytes()).unwrap_err(),
            "there are more than 100 parameters"
        );
    }
}

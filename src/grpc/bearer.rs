//! Bearer tokens of HTTP requests that a proxy checks (RFC 6750): the token, the challenge, and the headers with the claims.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::proto::v1;

/// The headers with the claims of a valid token, in the order of [`claim_headers`].
pub(crate) const CLAIM_HEADERS: [&str; 6] = [
    "x-auth-subject",
    "x-auth-client-id",
    "x-auth-scope",
    "x-auth-audience",
    "x-auth-issuer",
    "x-auth-token-id",
];

/// The values of [`CLAIM_HEADERS`]. A claim that is absent has an empty value.
pub(crate) fn claim_headers(claims: &v1::TokenClaims) -> [String; 6] {
    let list = |values: &[String]| values.iter().map(|value| encoded(value)).collect::<Vec<_>>().join(" ");
    [
        encoded(&claims.subject),
        encoded(&claims.client_id),
        list(&claims.scopes),
        list(&claims.audiences),
        encoded(&claims.issuer),
        encoded(&claims.jwt_id),
    ]
}

/// `%`, and all characters that are not visible ASCII: a blank at an end would be lost, and a line end would begin another header.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

fn encoded(claim: &str) -> String {
    utf8_percent_encode(claim, ESCAPED).to_string()
}

/// The token of an `authorization` value (RFC 6750 section 2.1). None for another scheme, which carries no token.
pub(crate) fn token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Why a request is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// There is no token: the challenge names no error (RFC 6750 section 3.1).
    NoToken,
    /// The token is not valid, for this reason.
    InvalidToken(String),
    /// The token lacks one of these scopes.
    InsufficientScope(String, Vec<String>),
}

impl Rejection {
    /// The rejection of a token for a reason of VerifyToken.
    pub(crate) fn of(reason: &str, message: &str, required_scopes: &[String]) -> Self {
        let description = format!("{reason}: {message}");
        match reason {
            "TOKEN_SCOPE_INSUFFICIENT" => Self::InsufficientScope(description, required_scopes.to_vec()),
            _ => Self::InvalidToken(description),
        }
    }

    /// The HTTP status: 401 or 403.
    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::NoToken | Self::InvalidToken(_) => 401,
            Self::InsufficientScope(..) => 403,
        }
    }

    /// The value of `WWW-Authenticate`.
    pub(crate) fn challenge(&self) -> String {
        const BEARER: &str = "Bearer realm=\"tokend\"";
        match self {
            Self::NoToken => BEARER.to_owned(),
            Self::InvalidToken(description) => {
                let description = allowed_characters(description);
                format!("{BEARER}, error=\"invalid_token\", error_description=\"{description}\"")
            }
            Self::InsufficientScope(description, scopes) => {
                let (description, scopes) =
                    (allowed_characters(description), allowed_characters(&scopes.join(" ")));
                format!(
                    "{BEARER}, error=\"insufficient_scope\", error_description=\"{description}\", scope=\"{scopes}\""
                )
            }
        }
    }
}

/// The characters that RFC 6749 section 5.2 allows in `error_description`, which are safe in a quoted string of a header, too.
pub(crate) fn allowed_characters(text: &str) -> String {
    let allowed = |character: char| match character {
        '"' | '`' => '\'',
        ' '..='~' if character != '\\' => character,
        _ => '?',
    };
    text.chars().map(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_cannot_inject_headers() {
        for (claim, value) in [
            ("alice", "alice"),
            (" alice ", "%20alice%20"),
            ("a\r\nx-admin: 1", "a%0D%0Ax-admin:%201"),
            ("100%", "100%25"),
            ("zoë\u{7f}", "zo%C3%AB%7F"),
        ] {
            assert_eq!(encoded(claim), value);
        }
    }

    #[test]
    fn descriptions_have_only_the_characters_that_the_rfc_allows() {
        assert_eq!(allowed_characters("client \"a\\b\"\r\nSet-Cookie: ü"), "client 'a?b'??Set-Cookie: ?");
    }

    #[test]
    fn only_a_bearer_value_has_a_token() {
        for (value, expected) in [
            ("Bearer a.b.c", Some("a.b.c")),
            ("bearer x", Some("x")),
            ("Bearer ", None),
            ("Bearer", None),
            ("Basic eDp5", None),
            ("", None),
        ] {
            assert_eq!(token(value), expected, "{value}");
        }
    }
}

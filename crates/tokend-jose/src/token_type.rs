//! The `typ` values of tokens.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The `typ` header that this issuer writes (RFC 7515 section 4.1.9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenType {
    /// `JWT`, which every validator accepts.
    #[default]
    #[serde(rename = "JWT")]
    Jwt,
    /// `at+jwt`, an access token by RFC 9068.
    #[serde(rename = "at+jwt")]
    AccessTokenJwt,
}

impl TokenType {
    /// The value of `typ`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jwt => "JWT",
            Self::AccessTokenJwt => "at+jwt",
        }
    }
}

/// A text that is not a token type.
#[derive(Debug, thiserror::Error)]
#[error("must be `JWT` or `at+jwt`")]
pub struct UnknownTokenType;

impl FromStr for TokenType {
    type Err = UnknownTokenType;

    fn from_str(text: &str) -> Result<Self, UnknownTokenType> {
        [Self::Jwt, Self::AccessTokenJwt].into_iter().find(|kind| kind.name() == text).ok_or(UnknownTokenType)
    }
}

//! The small parts of a token.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::random::{self, RandomError};

/// A token's own id (`jti`, RFC 7519 section 4.1.7): 128 random bits as base64url.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenId(String);

impl TokenId {
    /// A fresh id.
    pub(crate) fn generate() -> Result<Self, RandomError> {
        random::text::<16>().map(Self)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The `typ` header that this issuer writes (RFC 7515 section 4.1.9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenType {
    /// `JWT`, which every validator takes.
    #[default]
    #[serde(rename = "JWT")]
    Jwt,
    /// `at+jwt`, an access token by RFC 9068.
    #[serde(rename = "at+jwt")]
    AccessTokenJwt,
}

impl TokenType {
    /// The header's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jwt => "JWT",
            Self::AccessTokenJwt => "at+jwt",
        }
    }
}

/// A text that is no type of ours.
#[derive(Debug, thiserror::Error)]
#[error("must be `JWT` or `at+jwt`")]
pub struct UnknownTokenType;

impl FromStr for TokenType {
    type Err = UnknownTokenType;

    fn from_str(text: &str) -> Result<Self, UnknownTokenType> {
        [Self::Jwt, Self::AccessTokenJwt].into_iter().find(|kind| kind.name() == text).ok_or(UnknownTokenType)
    }
}

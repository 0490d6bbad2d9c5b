//! The id and the type of a token.

use std::fmt;

use crate::random::{self, RandomError};

/// A token's id (`jti`, RFC 7519 section 4.1.7): 128 random bits as base64url.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenId(String);

impl TokenId {
    /// Generates an id.
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

//! Patterns of permissions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An exact text, or a prefix followed by `*`. Matching is anchored and linear in the length of the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// Why a text is not a pattern.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// `*` is allowed at the end only.
    #[error("may hold `*` only as its last character")]
    StarInside,
    /// More than 255 bytes.
    #[error("must be at most 255 bytes")]
    TooLong,
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// When it is empty, longer than 255 bytes, or has `*` anywhere but at its end.
    pub fn parse(text: impl Into<String>) -> Result<Self, PatternError> {
        let text = text.into();
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > 255 {
            return Err(PatternError::TooLong);
        }
        if text.strip_suffix('*').unwrap_or(&text).contains('*') {
            return Err(PatternError::StarInside);
        }
        Ok(Self(text))
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern `*`, which matches every text.
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// Whether this is the bare `*`.
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Whether this pattern matches every text that `other` matches.
    pub fn covers(&self, other: &Self) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => other.0.strip_suffix('*').unwrap_or(&other.0).starts_with(prefix),
            None => self == other,
        }
    }

    /// Whether the pattern is exactly `text`.
    pub fn is_exactly(&self, text: &str) -> bool {
        self.0 == text
    }

    /// Whether the pattern matches `text`.
    pub fn matches(&self, text: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => text.starts_with(prefix),
            None => self.0 == text,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

/// Whether any of `patterns` matches `text`.
pub fn any_match(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}

//! What permissions are written in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An exact text, or a prefix with `*` at its end. Matching is anchored and linear in the text's length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// Why a text is no pattern.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// Nothing matches an empty pattern on purpose.
    #[error("must not be empty")]
    Empty,
    /// `*` has a meaning only at the end.
    #[error("may hold `*` only as its last character")]
    StarInside,
    /// More than 255 bytes.
    #[error("must be at most 255 bytes")]
    TooLong,
}

impl Pattern {
    /// Reads a pattern.
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

    /// The pattern as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Matches everything.
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// Whether this is the bare `*`.
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Whether everything that `other` matches is matched by this one too.
    pub fn covers(&self, other: &Self) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => other.0.strip_suffix('*').unwrap_or(&other.0).starts_with(prefix),
            None => self == other,
        }
    }

    /// Whether this is the exact text `text`.
    pub fn is_exactly(&self, text: &str) -> bool {
        self.0 == text
    }

    /// Whether `text` is the exact text, or starts with the prefix.
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

/// Whether any of `patterns` matches; none of an empty list does.
pub fn any_match(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}

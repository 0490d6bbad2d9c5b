//! The errors of key material.

use crate::Algorithm;

/// Key material that cannot be generated or parsed.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// aws-lc could not generate a key.
    #[error("a {0} key could not be generated")]
    Generate(Algorithm),
    /// The bytes are not a key for this algorithm.
    #[error("not a key for {0}")]
    Unreadable(Algorithm),
    /// The secret is shorter than the hash (RFC 7518 section 3.2).
    #[error("a secret for {0} must have at least {1} bytes")]
    TooShort(Algorithm, usize),
}

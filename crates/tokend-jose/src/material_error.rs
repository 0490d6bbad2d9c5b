//! What can be wrong with key material of our own.

use crate::Algorithm;

/// Key material that cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// aws-lc could not make a key.
    #[error("no {0} key could be made")]
    Generate(Algorithm),
    /// The octets are not a key for this algorithm.
    #[error("not a key for {0}")]
    Unreadable(Algorithm),
    /// RFC 7518 section 3.2: the secret must be as long as the hash at least.
    #[error("a secret for {0} must have at least {1} bytes")]
    TooShort(Algorithm, usize),
}

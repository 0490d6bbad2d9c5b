//! Import of keys: PEM, JWK and JWK sets, and HMAC secrets.
//!
//! Invariant: an imported key is valid for one algorithm, and its private part belongs to its public part. Errors contain nothing of the
//! key material.

mod candidate;
mod check;
mod der;
mod imported_key;
mod jwk;
mod members;
mod pem;
mod private;
mod problem;
mod secret;
mod set;
#[cfg(test)]
mod tests;

pub use imported_key::{Imported, ImportedKey, SkippedKey};
pub(super) use jwk::read as read_jwk;
pub use problem::ImportError;

use self::problem::Problem;
use crate::Algorithm;

/// The limit of key material, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// Key material.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// One PEM block (RFC 7468).
    Pem(&'a str),
    /// A JWK or a JWK set (RFC 7517).
    Jwk(&'a str),
    /// The bytes of an HMAC secret.
    Secret(&'a [u8]),
}

/// Reads and checks keys. `algorithm` is the requested algorithm. It must agree with the material, and is required if the material does
/// not determine the algorithm.
///
/// # Errors
/// When the material is not a valid key, or a set without one.
pub fn import(source: Source<'_>, algorithm: Option<Algorithm>) -> Result<Imported, ImportError> {
    let length = match source {
        Source::Pem(text) | Source::Jwk(text) => text.len(),
        Source::Secret(bytes) => bytes.len(),
    };
    if length > MOST_BYTES {
        return Err(Problem::TooLarge.into());
    }
    let key = match source {
        Source::Pem(text) => pem::read(text, algorithm)?,
        Source::Jwk(text) => return set::read(&members::Members::parse(text)?, algorithm),
        Source::Secret(bytes) => secret::check(bytes, None, algorithm)?,
    };
    Ok(Imported { keys: vec![key], skipped: Vec::new() })
}

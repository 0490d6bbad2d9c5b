//! The way in.

use super::{
    imported_key::Imported,
    members::Members,
    pem,
    problem::{ImportError, Problem},
    secret, set,
};
use crate::Algorithm;

/// How much material is looked at.
const MOST_BYTES: usize = 64 * 1024;

/// Where keys come from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// One PEM block.
    Pem(&'a str),
    /// A JWK or a JWK set (RFC 7517).
    Jwk(&'a str),
    /// The bare bytes of an HMAC secret.
    Secret(&'a [u8]),
}

/// Reads and checks keys. `algorithm` is what the caller says: it must agree with what the material says, and is needed
/// where that does not tell.
pub fn import(source: Source<'_>, algorithm: Option<Algorithm>) -> Result<Imported, ImportError> {
    let length = match source {
        Source::Pem(text) | Source::Jwk(text) => text.len(),
        Source::Secret(octets) => octets.len(),
    };
    if length > MOST_BYTES {
        return Err(Problem::TooLarge.into());
    }
    let key = match source {
        Source::Pem(text) => pem::read(text, algorithm)?,
        Source::Jwk(text) => return set::read(&Members::parse(text)?, algorithm),
        Source::Secret(octets) => secret::check(octets, None, algorithm)?,
    };
    Ok(Imported { keys: vec![key], skipped: Vec::new() })
}

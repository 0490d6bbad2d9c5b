//! The way in.

use super::{
    imported_key::ImportedKey,
    members::Members,
    pem,
    problem::{ImportError, Problem},
    secret, set,
};
use crate::model::Algorithm;

/// How much material is looked at.
const MOST_BYTES: usize = 64 * 1024;

/// Where keys come from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// One PEM block.
    Pem(&'a str),
    /// A JWK or a JWK set (RFC 7517).
    Jwk(&'a str),
    /// The bare bytes of an HMAC secret.
    Secret(&'a [u8]),
}

/// Reads and checks keys. `algorithm` is what the caller says: it must agree with what the material says, and is needed
/// where that does not tell.
pub(crate) fn import(
    source: Source<'_>,
    algorithm: Option<Algorithm>,
) -> Result<Vec<ImportedKey>, ImportError> {
    let length = match source {
        Source::Pem(text) | Source::Jwk(text) => text.len(),
        Source::Secret(octets) => octets.len(),
    };
    if length > MOST_BYTES {
        return Err(Problem::TooLarge.into());
    }
    match source {
        Source::Pem(text) => Ok(vec![pem::read(text, algorithm)?]),
        Source::Jwk(text) => set::read(&Members::parse(text)?, algorithm),
        Source::Secret(octets) => Ok(vec![secret::check(octets, None, algorithm)?]),
    }
}

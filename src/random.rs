//! The only source of randomness.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// The random number generator failed.
#[derive(Debug, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct RandomError;

/// Returns `N` random bytes from aws-lc-rs, which the operating system seeds.
#[expect(clippy::disallowed_methods, reason = "the only source of randomness")]
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

/// Returns `N` random bytes as unpadded base64url.
pub(crate) fn text<const N: usize>() -> Result<String, RandomError> {
    Ok(URL_SAFE_NO_PAD.encode(bytes::<N>()?))
}

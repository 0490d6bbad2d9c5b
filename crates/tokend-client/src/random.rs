//! Randomness: of cryptographic quality for identifiers, and of any quality for delays.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use aws_lc_rs::error::Unspecified;

/// 16 random bytes.
///
/// # Errors
/// When the system's random number generator fails.
#[expect(clippy::disallowed_methods, reason = "the one place that reads random bytes")]
pub(crate) fn bytes() -> Result<[u8; 16], Unspecified> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(bytes)
}

/// A random duration from `least` to `most`, so that many clients do not act at the same time.
pub(crate) fn between(least: Duration, most: Duration) -> Duration {
    let random = u32::try_from(RandomState::new().hash_one(()) & 0xffff).unwrap_or_default();
    least + most.saturating_sub(least).saturating_mul(random) / 0xffff
}

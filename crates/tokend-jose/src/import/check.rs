//! Checks imported public keys part by part, so that each fault has an error of its own.

use curve25519_dalek::edwards::CompressedEdwardsY;

use super::problem::{ImportError, Problem};
use crate::{
    Algorithm,
    public_key::{Parts, PublicKey, RSA_BITS, bits, is_odd},
};

/// The public key with these parts, if they are valid.
pub(super) fn public_key(algorithm: Algorithm, parts: &Parts) -> Result<PublicKey, ImportError> {
    let place = match parts {
        Parts::Ec { x, y } => {
            let len = if algorithm == Algorithm::Es384 { 48 } else { 32 };
            length(x, len).map_err(|problem| problem.at("x"))?;
            length(y, len).map_err(|problem| problem.at("y"))?;
            Problem::PointOffCurve.at("x")
        }
        Parts::Okp { x } => {
            ed25519_point(x).map_err(|problem| problem.at("x"))?;
            Problem::PointOffCurve.at("x")
        }
        Parts::Rsa { n, e } => {
            modulus(n).map_err(|problem| problem.at("n"))?;
            exponent(e).map_err(|problem| problem.at("e"))?;
            Problem::Number.at("n")
        }
        Parts::Akp { public } => {
            let len = match algorithm {
                Algorithm::MlDsa44 => 1312,
                Algorithm::MlDsa65 => 1952,
                _ => 2592,
            };
            length(public, len).map_err(|problem| problem.at("pub"))?;
            Problem::Length(len).at("pub")
        }
    };
    PublicKey::new(algorithm, parts).map_err(|_| place)
}

/// Checks the length of `bytes`.
pub(super) const fn length(bytes: &[u8], len: usize) -> Result<(), Problem> {
    if bytes.len() == len { Ok(()) } else { Err(Problem::Length(len)) }
}

/// Partial validation of a modulus whose factors are unknown (NIST SP 800-89 section 5.3.3).
fn modulus(n: &[u8]) -> Result<(), Problem> {
    if bits(n) < *RSA_BITS.start() {
        return Err(Problem::RsaTooSmall);
    }
    if bits(n) > *RSA_BITS.end() {
        return Err(Problem::RsaTooLarge);
    }
    if !is_odd(n) {
        return Err(Problem::RsaEven);
    }
    let divides = |divisor: u32| n.iter().fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % divisor) == 0;
    // Dividing by every odd number finds the same factors as dividing by primes.
    if (3..752).step_by(2).any(divides) { Err(Problem::RsaSmallFactor) } else { Ok(()) }
}

/// Smaller exponents are weak with a flawed padding; larger ones cost time, and not every library reads them.
fn exponent(e: &[u8]) -> Result<(), Problem> {
    let number = e
        .iter()
        .try_fold(0_u32, |number, byte| Some(number.checked_mul(256)?.saturating_add(u32::from(*byte))));
    match number {
        Some(number) if number >= 65_537 && number % 2 == 1 => Ok(()),
        _ => Err(Problem::RsaExponent),
    }
}

/// Checks that these bytes are a public key with a private key: a canonically encoded point of the prime-order subgroup. aws-lc accepts
/// any 32 bytes. Signatures for a point of small order can be forged without the private key, and a second encoding would give one key two ids.
fn ed25519_point(bytes: &[u8]) -> Result<(), Problem> {
    let compressed = CompressedEdwardsY(bytes.try_into().map_err(|_| Problem::Length(32))?);
    let point = compressed.decompress().ok_or(Problem::PointOffCurve)?;
    if point.compress() != compressed {
        return Err(Problem::PointNotCanonical);
    }
    if point.is_small_order() {
        return Err(Problem::PointSmallOrder);
    }
    if point.is_torsion_free() { Ok(()) } else { Err(Problem::PointMixedOrder) }
}

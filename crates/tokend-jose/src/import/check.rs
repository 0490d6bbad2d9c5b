//! Public keys that somebody else made are judged part by part, so that each fault has its own words.

use super::{
    edwards,
    problem::{ImportError, Problem},
};
use crate::{
    Algorithm,
    public_key::{Parts, PublicKey, RSA_BITS, bits, is_odd},
};

/// The key of these parts, if they are sound.
pub(super) fn public_key(algorithm: Algorithm, parts: &Parts) -> Result<PublicKey, ImportError> {
    let place = match parts {
        Parts::Ec { x, y } => {
            let len = if algorithm == Algorithm::Es384 { 48 } else { 32 };
            length(x, len).map_err(|problem| problem.at("x"))?;
            length(y, len).map_err(|problem| problem.at("y"))?;
            Problem::PointOffCurve.at("x")
        }
        Parts::Okp { x } => {
            edwards::check(x).map_err(|problem| problem.at("x"))?;
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

/// Whether `octets` have just this length.
pub(super) const fn length(octets: &[u8], len: usize) -> Result<(), Problem> {
    if octets.len() == len { Ok(()) } else { Err(Problem::Length(len)) }
}

/// What can be said of a modulus whose factors are not known (NIST SP 800-89 section 5.3.3).
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
    let divides =
        |divisor: u32| n.iter().fold(0, |rest, octet| (rest << 8 | u32::from(*octet)) % divisor) == 0;
    // All odd numbers in place of the primes among them: the outcome is the same.
    if (3..752).step_by(2).any(divides) { Err(Problem::RsaSmallFactor) } else { Ok(()) }
}

/// Smaller exponents are broken together with bad padding, larger ones only cost time and are not read everywhere.
fn exponent(e: &[u8]) -> Result<(), Problem> {
    let number = e
        .iter()
        .try_fold(0_u32, |number, octet| Some(number.checked_mul(256)?.saturating_add(u32::from(*octet))));
    match number {
        Some(number) if number >= 65_537 && number % 2 == 1 => Ok(()),
        _ => Err(Problem::RsaExponent),
    }
}

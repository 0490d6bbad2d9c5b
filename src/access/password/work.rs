//! Computes password hashes: slow by design.

use aws_lc_rs::constant_time;

use super::encoded::{Argon2Hash, Encoded};
use crate::{
    model::{Password, PasswordHash},
    random::{self, RandomError},
};

/// The cost of a new hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory, in KiB.
    pub memory: u32,
    /// Passes over the memory.
    pub passes: u32,
}

/// One core computes one hash, so that more lanes add nothing.
const LANES: u32 = 1;
/// RFC 9106 section 4: a salt of 128 bits and an output of 256.
const OUTPUT: usize = 32;
/// The number of bytes of a password that bcrypt uses.
const BCRYPT_BYTES: usize = 72;

/// The result of comparing a password with a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordMatch {
    /// The password is different, or the user does not exist.
    No,
    Yes,
    /// The password matches, and the hash must be computed again at the current cost.
    Outdated,
}

/// A hash could not be computed: there is no memory or randomness, or the stored hash is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WorkError(&'static str);

/// Hashes a password with a new salt.
pub(super) fn hash(password: &Password, cost: HashCost) -> Result<PasswordHash, WorkError> {
    let mut hash = random_hash(cost).map_err(|_| WorkError("there is no randomness for a salt"))?;
    hash.output = output(&hash, password)?;
    Ok(PasswordHash::from_text(hash.to_text()))
}

/// A hash of no password, with a random salt and output: compared instead of the hash of a user that does not exist.
pub(super) fn dummy_hash(cost: HashCost) -> Result<PasswordHash, RandomError> {
    Ok(PasswordHash::from_text(random_hash(cost)?.to_text()))
}

fn random_hash(cost: HashCost) -> Result<Argon2Hash, RandomError> {
    Ok(Argon2Hash {
        algorithm: argon2::Algorithm::Argon2id,
        version: argon2::Version::V0x13,
        memory: cost.memory,
        passes: cost.passes,
        lanes: LANES,
        salt: random::bytes::<16>()?.to_vec(),
        output: random::bytes::<OUTPUT>()?.to_vec(),
    })
}

/// Compares a password with a hash. With an argon2 hash this takes the time of a new hash, or longer if the stored hash costs more,
/// independent of the result.
pub(super) fn compare(
    password: &Password,
    hash: &PasswordHash,
    cost: HashCost,
) -> Result<PasswordMatch, WorkError> {
    let encoded =
        Encoded::parse(hash.reveal()).map_err(|_| WorkError("a stored password hash cannot be read"))?;
    match encoded {
        Encoded::Argon2(hash) => {
            let same = constant_time::verify_slices_are_equal(&output(&hash, password)?, &hash.output);
            pad_cost(&hash, password, cost)?;
            Ok(match same {
                Err(_) => PasswordMatch::No,
                Ok(()) if is_current(&hash, cost) => PasswordMatch::Yes,
                Ok(()) => PasswordMatch::Outdated,
            })
        }
        Encoded::Bcrypt => bcrypt_match(password.as_bytes(), hash),
    }
}

/// Adds the missing work after a hash that is cheaper than a new one. Otherwise the response time would tell which users have an
/// outdated hash.
fn pad_cost(spent: &Argon2Hash, password: &Password, cost: HashCost) -> Result<(), WorkError> {
    let rest =
        cost.memory.saturating_mul(cost.passes).saturating_sub(spent.memory.saturating_mul(spent.passes));
    // The fewest passes that need no more memory than a new hash.
    let passes = rest.div_ceil(cost.memory.max(1)).max(1);
    let memory = rest / passes;
    // RFC 9106 section 3.1: at least 8 KiB.
    if memory >= 8 {
        let rest = Argon2Hash { memory, passes, lanes: LANES, output: vec![0; OUTPUT], ..spent.clone() };
        std::hint::black_box(output(&rest, password)?);
    }
    Ok(())
}

/// Whether the hash is at least as strong as a new one. A lower cost in the settings does not weaken stored hashes.
fn is_current(hash: &Argon2Hash, cost: HashCost) -> bool {
    hash.algorithm == argon2::Algorithm::Argon2id
        && hash.version == argon2::Version::V0x13
        && hash.lanes == LANES
        && hash.memory >= cost.memory
        && hash.passes >= cost.passes
        && hash.salt.len() >= 16
        && hash.output.len() >= OUTPUT
}

fn output(hash: &Argon2Hash, password: &Password) -> Result<Vec<u8>, WorkError> {
    let failed = |_| WorkError("argon2 could not be computed");
    let mut output = vec![0; hash.output.len()];
    let parameters =
        argon2::Params::new(hash.memory, hash.passes, hash.lanes, Some(output.len())).map_err(failed)?;
    argon2::Argon2::new(hash.algorithm, hash.version, parameters)
        .hash_password_into(password.as_bytes(), &hash.salt, &mut output)
        .map_err(failed)?;
    Ok(output)
}

/// A password with NUL matches nothing, because some bcrypt implementations end a password at its first NUL and others do not. Only
/// the first 72 bytes count, as in the system that made the hash. The hash of a longer password is not renewed: its other bytes may
/// be mistyped.
fn bcrypt_match(password: &[u8], hash: &PasswordHash) -> Result<PasswordMatch, WorkError> {
    let same =
        bcrypt::verify(password, hash.reveal()).map_err(|_| WorkError("bcrypt could not be computed"))?;
    if !same || password.contains(&0) {
        Ok(PasswordMatch::No)
    } else if password.len() > BCRYPT_BYTES {
        Ok(PasswordMatch::Yes)
    } else {
        Ok(PasswordMatch::Outdated)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    const CHEAP: HashCost = HashCost { memory: 64, passes: 1 };

    fn password(text: &str) -> Password {
        Password::typed(text.to_owned()).unwrap()
    }

    fn compared(text: &str, hash: &str) -> PasswordMatch {
        compare(&password(text), &PasswordHash::from_text(hash), CHEAP).unwrap()
    }

    #[test]
    fn a_new_hash_matches_its_password_only() {
        let hash = hash(&password("correct horse"), CHEAP).unwrap();
        assert!(hash.reveal().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert_eq!(compared("correct horse", hash.reveal()), PasswordMatch::Yes);
        assert_eq!(compared("Correct horse", hash.reveal()), PasswordMatch::No);
        assert_ne!(
            hash,
            super::hash(&password("correct horse"), CHEAP).unwrap(),
            "each hash has its own salt"
        );
    }

    #[test]
    fn a_weaker_hash_is_outdated_and_a_stronger_one_is_not() {
        let hash = hash(&password("correct horse"), CHEAP).unwrap();
        let renewed = |memory, passes| {
            let cost = HashCost { memory, passes };
            compare(&password("correct horse"), &hash, cost).unwrap() == PasswordMatch::Outdated
        };
        assert!(renewed(65, 1) && renewed(64, 2));
        assert!(!renewed(64, 1) && !renewed(32, 1));
    }

    #[test]
    fn hashes_of_other_programs_match_their_passwords() {
        // Made by argon2-cffi 25.1.0 and by bcrypt 5.0.0 for Python.
        for hash in HASHES {
            assert_eq!(compared("correct horse battery", hash), PasswordMatch::Outdated, "{hash}");
            assert_eq!(compared("correct horse batterY", hash), PasswordMatch::No, "{hash}");
        }
    }

    #[test]
    fn bcrypt_compares_72_bytes_and_no_nul() {
        let hash = bcrypt::hash_with_salt("a".repeat(72), 4, [7; 16]).unwrap().to_string();
        assert_eq!(compared(&"a".repeat(72), &hash), PasswordMatch::Outdated);
        assert_eq!(compared(&format!("{}b", "a".repeat(72)), &hash), PasswordMatch::Yes, "not outdated");
        assert_eq!(compared(&"a".repeat(71), &hash), PasswordMatch::No);
        // bcrypt repeats the password with its closing NUL to fill the key: this would be the same as `abc`.
        let hash = bcrypt::hash_with_salt("abc", 4, [7; 16]).unwrap().to_string();
        assert!(bcrypt::verify("abc\0abc", &hash).unwrap());
        assert_eq!(compared("abc\0abc", &hash), PasswordMatch::No);
    }

    const HASHES: [&str; 6] = [
        "$argon2id$v=19$m=65536,t=3,p=4$fJXmY8WrsIq5IOORP8jB8g$n+5DiwJitLaNvutxixoqr16FRQUTVElj0vxyDs7B1kQ",
        "$argon2i$v=19$m=4096,t=3,p=1$U158oMrhD0hFP6Wkj9Zx+Q$MAw4oFRCO4F5oM6RrBtkmVyKaobZfwejKJ6qHlJ6zug",
        "$argon2id$v=16$m=1024,t=2,p=2$c2FsdHNhbHQ$s9fBENl4spz4G+l7eek7NDFCbRnvog0c9vg1pAuG9Z4",
        "$2b$05$cyPPbYH.pJqzX2pEMssSPu7TjU6ca9P4PUtSG3pcze6iyozNLh01m",
        "$2a$05$M69S41FSyhivIAOx34X/neGSfxN/SEFHQfzKNAv0nBZ6qgDsDPspO",
        "$2y$05$M69S41FSyhivIAOx34X/neGSfxN/SEFHQfzKNAv0nBZ6qgDsDPspO",
    ];
}

//! The slow work: hashing, and comparing with a hash.

use aws_lc_rs::constant_time;

use super::encoded::{Argon2Hash, Encoded};
use crate::{
    model::{Password, PasswordHash},
    random,
};

/// What a fresh hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory, in KiB.
    pub memory: u32,
    /// Passes through it.
    pub passes: u32,
}

/// More adds nothing here: one core works on one password, whoever wants more takes more memory.
const LANES: u32 = 1;
/// RFC 9106 section 4: a salt of 128 bits and an output of 256.
const OUTPUT: usize = 32;
/// bcrypt looks at no more octets of a password.
const BCRYPT_SEES: usize = 72;

/// How a password stands to a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// It is another.
    No,
    /// It is the one.
    Yes,
    /// It is the one, and the hash is to be made anew.
    YesRenew,
}

/// The work cannot be done: the system gave no memory or no randomness, or the stored hash cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WorkError(&'static str);

/// Hashes a password with a fresh salt.
pub(super) fn hash(password: &Password, cost: HashCost) -> Result<PasswordHash, WorkError> {
    let salt = random::bytes::<16>().map_err(|_| WorkError("there is no randomness for a salt"))?;
    let mut hash = Argon2Hash {
        algorithm: argon2::Algorithm::Argon2id,
        version: argon2::Version::V0x13,
        memory: cost.memory,
        passes: cost.passes,
        lanes: LANES,
        salt: salt.to_vec(),
        output: vec![0; OUTPUT],
    };
    hash.output = output(&hash, password)?;
    Ok(PasswordHash::from_text(hash.to_text()))
}

/// Compares a password with a hash. With an argon2 hash that takes the time of one fresh hash, whatever the answer; more only if
/// the hash itself costs more.
pub(super) fn compare(password: &Password, hash: &PasswordHash, cost: HashCost) -> Result<Match, WorkError> {
    let encoded =
        Encoded::parse(hash.reveal()).map_err(|_| WorkError("a stored password hash cannot be read"))?;
    match encoded {
        Encoded::Argon2(hash) => {
            let same = constant_time::verify_slices_are_equal(&output(&hash, password)?, &hash.output);
            spend_the_rest(&hash, password, cost)?;
            Ok(match same {
                Err(_) => Match::No,
                Ok(()) if is_current(&hash, cost) => Match::Yes,
                Ok(()) => Match::YesRenew,
            })
        }
        Encoded::Bcrypt => bcrypt_match(password.as_bytes(), hash),
    }
}

/// Does what work is left of a fresh hash's after a cheaper one: else those whose hash awaits to be made anew could be told by
/// the time of a refusal.
fn spend_the_rest(spent: &Argon2Hash, password: &Password, cost: HashCost) -> Result<(), WorkError> {
    let rest =
        cost.memory.saturating_mul(cost.passes).saturating_sub(spent.memory.saturating_mul(spent.passes));
    // In as few passes as do not take more memory than a fresh hash.
    let passes = rest.div_ceil(cost.memory.max(1)).max(1);
    let memory = rest / passes;
    // RFC 9106 section 3.1: no fewer than 8 KiB.
    if memory >= 8 {
        let rest = Argon2Hash { memory, passes, lanes: LANES, output: vec![0; OUTPUT], ..spent.clone() };
        std::hint::black_box(output(&rest, password)?);
    }
    Ok(())
}

/// Whether the hash is as strong as a fresh one. One that is stronger stays: a lowered setting is no reason to weaken it.
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

/// bcrypt ends a password at its first NUL in some implementations and not in others: one with NUL matches nothing here. It
/// looks at the first 72 octets only, and so does this, as the system did that made the hash. What comes after them
/// may be mistyped: the hash of such a password is not made anew of it.
fn bcrypt_match(password: &[u8], hash: &PasswordHash) -> Result<Match, WorkError> {
    let same =
        bcrypt::verify(password, hash.reveal()).map_err(|_| WorkError("bcrypt could not be computed"))?;
    if !same || password.contains(&0) {
        Ok(Match::No)
    } else if password.len() > BCRYPT_SEES {
        Ok(Match::Yes)
    } else {
        Ok(Match::YesRenew)
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

    fn compared(text: &str, hash: &str) -> Match {
        compare(&password(text), &PasswordHash::from_text(hash), CHEAP).unwrap()
    }

    #[test]
    fn a_hash_of_ours_knows_its_password() {
        let hash = hash(&password("correct horse"), CHEAP).unwrap();
        assert!(hash.reveal().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert_eq!(compared("correct horse", hash.reveal()), Match::Yes);
        assert_eq!(compared("Correct horse", hash.reveal()), Match::No);
        assert_ne!(hash, super::hash(&password("correct horse"), CHEAP).unwrap(), "each has its own salt");
    }

    #[test]
    fn a_weaker_hash_is_renewed_and_a_stronger_one_stays() {
        let hash = hash(&password("correct horse"), CHEAP).unwrap();
        let renewed = |memory, passes| {
            let cost = HashCost { memory, passes };
            compare(&password("correct horse"), &hash, cost).unwrap() == Match::YesRenew
        };
        assert!(renewed(65, 1) && renewed(64, 2));
        assert!(!renewed(64, 1) && !renewed(32, 1));
    }

    #[test]
    fn hashes_of_other_programs_know_their_passwords() {
        // Made by argon2-cffi 25.1.0 and by bcrypt 5.0.0 for Python.
        for hash in HASHES {
            assert_eq!(compared("correct horse battery", hash), Match::YesRenew, "{hash}");
            assert_eq!(compared("correct horse batterY", hash), Match::No, "{hash}");
        }
    }

    #[test]
    fn bcrypt_sees_72_octets_and_no_nul() {
        let hash = bcrypt::hash_with_salt("a".repeat(72), 4, [7; 16]).unwrap().to_string();
        assert_eq!(compared(&"a".repeat(72), &hash), Match::YesRenew);
        assert_eq!(compared(&format!("{}b", "a".repeat(72)), &hash), Match::Yes, "and is not renewed");
        assert_eq!(compared(&"a".repeat(71), &hash), Match::No);
        // bcrypt repeats the password with its closing NUL to fill the key: this would be the same as `abc`.
        let hash = bcrypt::hash_with_salt("abc", 4, [7; 16]).unwrap().to_string();
        assert!(bcrypt::verify("abc\0abc", &hash).unwrap());
        assert_eq!(compared("abc\0abc", &hash), Match::No);
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

//! Hashes as text: argon2 in PHC form (`$argon2id$v=19$m=19456,t=2,p=1$salt$hash`) and bcrypt (`$2b$12$…`). What a hash
//! asks for is bounded: whoever imports one decides what each login with it costs.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// The most memory that an imported hash may ask for, in KiB: 128 MiB.
const MOST_MEMORY: u32 = 128 * 1024;
/// The most passes.
const MOST_PASSES: u32 = 10;
/// The most lanes.
const MOST_LANES: u32 = 16;
/// The most memory that all passes together may go through, in KiB: about a second's work.
const MOST_WORK: u32 = 512 * 1024;
/// How long a salt may be, in bytes.
const SALT: std::ops::RangeInclusive<usize> = 8..=64;
/// How long the output may be, in bytes: shorter ones are found by chance.
const OUTPUT: std::ops::RangeInclusive<usize> = 16..=64;
/// The costs that bcrypt may have: 14 takes about a second.
const COST: std::ops::RangeInclusive<u32> = 4..=14;
/// No hash within the bounds is longer.
const LONGEST: usize = 300;

/// Why a hash from elsewhere is not taken. Its text holds nothing of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is of no kind that is taken.
    #[error("must be argon2id or argon2i in PHC form, or bcrypt ($2b$, $2a$ or $2y$)")]
    Kind,
    /// It is of such a kind, but not of its form.
    #[error("is not well-formed: {0}")]
    Form(&'static str),
    /// It asks for too much or too little.
    #[error("is out of bounds: {0}")]
    Bounds(&'static str),
}

/// A hash that was read.
pub(super) enum Encoded {
    /// argon2.
    Argon2(Argon2Hash),
    /// bcrypt.
    Bcrypt,
}

/// What an argon2 hash in PHC form says.
#[derive(Clone)]
pub(super) struct Argon2Hash {
    pub(super) algorithm: argon2::Algorithm,
    pub(super) version: argon2::Version,
    pub(super) memory: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
    pub(super) salt: Vec<u8>,
    pub(super) output: Vec<u8>,
}

impl Encoded {
    /// Reads a hash.
    pub(super) fn parse(text: &str) -> Result<Self, ImportError> {
        if text.len() > LONGEST {
            return Err(ImportError::Form("longer than any hash within the bounds"));
        }
        let kind = text.strip_prefix('$').and_then(|rest| rest.split_once('$'));
        let (kind, rest) = kind.ok_or(ImportError::Kind)?;
        match kind {
            "argon2id" => argon2_hash(argon2::Algorithm::Argon2id, rest).map(Self::Argon2),
            "argon2i" => argon2_hash(argon2::Algorithm::Argon2i, rest).map(Self::Argon2),
            "2a" | "2b" | "2y" => {
                bcrypt_hash(rest)?;
                // Bits beyond the octets must be zero, or no password would ever match.
                let parts = text.parse::<bcrypt::HashParts>();
                parts.map_err(|_| ImportError::Form("salt or hash has bits beyond its end"))?;
                Ok(Self::Bcrypt)
            }
            _ => Err(ImportError::Kind),
        }
    }
}

impl Argon2Hash {
    /// The hash in PHC form.
    pub(super) fn to_text(&self) -> String {
        format!(
            "${}$v={}$m={},t={},p={}${}${}",
            self.algorithm.as_str(),
            u32::from(self.version),
            self.memory,
            self.passes,
            self.lanes,
            STANDARD_NO_PAD.encode(&self.salt),
            STANDARD_NO_PAD.encode(&self.output),
        )
    }
}

/// `v=19$m=19456,t=2,p=1$salt$hash`. Without `v` it is version 16, as the reference implementation has it.
fn argon2_hash(algorithm: argon2::Algorithm, rest: &str) -> Result<Argon2Hash, ImportError> {
    let (version, rest) = match rest.strip_prefix("v=") {
        Some(rest) => rest.split_once('$').ok_or(ImportError::Form("it ends after `v`"))?,
        None => ("16", rest),
    };
    let version = match version {
        "16" => argon2::Version::V0x10,
        "19" => argon2::Version::V0x13,
        _ => return Err(ImportError::Bounds("`v` must be 16 or 19")),
    };
    let parts: Vec<&str> = rest.split('$').collect();
    let [parameters, salt, output] = parts.as_slice() else {
        return Err(ImportError::Form("it must end with parameters, salt and hash"));
    };
    let parameters: Vec<&str> = parameters.split(',').collect();
    let [memory, passes, lanes] = parameters.as_slice() else {
        return Err(ImportError::Form(
            "its parameters must be `m`, `t` and `p`, in this order, and no others",
        ));
    };
    let hash = Argon2Hash {
        algorithm,
        version,
        memory: parameter(memory, "m=", ImportError::Form("`m` must be a whole number"))?,
        passes: parameter(passes, "t=", ImportError::Form("`t` must be a whole number"))?,
        lanes: parameter(lanes, "p=", ImportError::Form("`p` must be a whole number"))?,
        salt: octets(salt, ImportError::Form("the salt must be base64 without padding"))?,
        output: octets(output, ImportError::Form("the hash must be base64 without padding"))?,
    };
    within_bounds(&hash)?;
    Ok(hash)
}

fn within_bounds(hash: &Argon2Hash) -> Result<(), ImportError> {
    if !(1..=MOST_LANES).contains(&hash.lanes) {
        return Err(ImportError::Bounds("`p` must be from 1 to 16"));
    }
    // RFC 9106 section 3.1: at least 8 KiB a lane.
    if !(8 * hash.lanes..=MOST_MEMORY).contains(&hash.memory) {
        return Err(ImportError::Bounds("`m` must be from 8 for each lane to 131072 (KiB)"));
    }
    if !(1..=MOST_PASSES).contains(&hash.passes) {
        return Err(ImportError::Bounds("`t` must be from 1 to 10"));
    }
    if hash.memory.saturating_mul(hash.passes) > MOST_WORK {
        return Err(ImportError::Bounds("`m` times `t` must be at most 524288 (KiB)"));
    }
    if !SALT.contains(&hash.salt.len()) {
        return Err(ImportError::Bounds("the salt must have 8 to 64 bytes"));
    }
    if !OUTPUT.contains(&hash.output.len()) {
        return Err(ImportError::Bounds("the hash must have 16 to 64 bytes"));
    }
    Ok(())
}

/// A number in the only form that the PHC string format allows: no sign, no zero before it.
fn parameter(text: &str, name: &str, wrong: ImportError) -> Result<u32, ImportError> {
    let digits = text.strip_prefix(name).ok_or(wrong)?;
    let canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if canonical { digits.parse().map_err(|_| wrong) } else { Err(wrong) }
}

fn octets(text: &str, wrong: ImportError) -> Result<Vec<u8>, ImportError> {
    STANDARD_NO_PAD.decode(text).map_err(|_| wrong)
}

/// `12$` and 22 characters of salt and 31 of hash.
fn bcrypt_hash(rest: &str) -> Result<(), ImportError> {
    let (cost, text) = rest.split_once('$').ok_or(ImportError::Form("it ends after the cost"))?;
    let digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    let cost = cost.parse().ok().filter(|_| digits);
    let cost: u32 = cost.ok_or(ImportError::Form("the cost must have two digits"))?;
    if !COST.contains(&cost) {
        return Err(ImportError::Bounds("the cost must be from 4 to 14"));
    }
    let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    if text.len() != 53 || !text.bytes().all(in_alphabet) {
        return Err(ImportError::Form("salt and hash must be 53 characters of bcrypt's alphabet"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT16: &str = "c2FsdHNhbHRzYWx0c2FsdA";
    const OUTPUT32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    fn argon2(parameters: &str) -> Option<ImportError> {
        Encoded::parse(&format!("$argon2id$v=19${parameters}${SALT16}${OUTPUT32}")).err()
    }

    #[test]
    fn what_is_within_bounds_is_taken() {
        for parameters in ["m=19456,t=2,p=1", "m=65536,t=3,p=4", "m=131072,t=4,p=16", "m=8,t=1,p=1"] {
            assert_eq!(argon2(parameters), None, "{parameters}");
        }
        let old = format!("$argon2i$m=4096,t=3,p=1${SALT16}${OUTPUT32}");
        assert!(
            matches!(Encoded::parse(&old), Ok(Encoded::Argon2(hash)) if hash.version == argon2::Version::V0x10)
        );
        for kind in ["2a", "2b", "2y"] {
            let hash = format!("${kind}$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u");
            assert!(matches!(Encoded::parse(&hash), Ok(Encoded::Bcrypt)), "{kind}");
        }
    }

    #[test]
    fn what_costs_too_much_or_holds_too_little_is_refused_by_name() {
        let cases = [
            ("m=131073,t=1,p=1", "`m`"),
            ("m=4294967295,t=1,p=1", "`m`"),
            ("m=31,t=1,p=4", "`m`"),
            ("m=19456,t=11,p=1", "`t`"),
            ("m=19456,t=0,p=1", "`t`"),
            ("m=131072,t=5,p=1", "`m` times `t`"),
            ("m=19456,t=2,p=17", "`p`"),
            ("m=19456,t=2,p=0", "`p`"),
            ("m=4294967296,t=2,p=1", "`m`"),
            ("m=019456,t=2,p=1", "`m`"),
            ("m=+19456,t=2,p=1", "`m`"),
            ("t=2,m=19456,p=1", "`m`"),
            ("m=19456,t=2,p=1,keyid=AAAA", "in this order"),
            ("m=19456,t=2", "in this order"),
        ];
        for (parameters, name) in cases {
            let error = argon2(parameters).map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(name), "{parameters}: {error:?}");
        }
    }

    #[test]
    fn everything_else_is_refused_and_never_echoed() {
        let long = "x".repeat(301);
        let cases = [
            "",
            "secret-text",
            "$1$secret$text",
            "$2x$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u",
            "$2b$15$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u",
            "$2b$03$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u",
            "$2b$1$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u",
            "$2b$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3",
            "$2b$12$L6Bc/AlTQHyd9liGgGEZy=FLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u",
            "$2b$12",
            "$argon2d$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            "$argon2id$v=18$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA",
            "$argon2id$v=19$m=19456,t=2,p=1$c2Fsd$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAECAwQFBgc",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8$x",
            &long,
        ];
        for text in cases {
            let error = Encoded::parse(text).err().map(|error| error.to_string());
            let error = error.unwrap_or_default();
            assert!(!error.is_empty(), "{text} is taken");
            for part in text.split('$').filter(|part| part.len() > 8) {
                assert!(!error.contains(part), "{error}");
            }
        }
    }
}

//! Password hashes as text: argon2 in PHC form (`$argon2id$v=19$m=19456,t=2,p=1$salt$hash`) and bcrypt (`$2b$12$…`).
//!
//! The cost of an imported hash is bounded, because each login with it pays that cost.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// The most memory of an imported hash, in KiB: 128 MiB.
const MAX_MEMORY: u32 = 128 * 1024;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 16;
/// The most memory times passes, in KiB: about a second's work.
const MAX_WORK: u32 = 512 * 1024;
/// The length of a salt, in bytes.
const SALT: std::ops::RangeInclusive<usize> = 8..=64;
/// The length of the output, in bytes. A shorter one can collide by chance.
const OUTPUT: std::ops::RangeInclusive<usize> = 16..=64;
/// The cost of bcrypt: 14 takes about a second.
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 4..=14;
/// The longest text of a hash within the bounds.
const MAX_LENGTH: usize = 300;

/// Why a hash is not imported. The text contains nothing of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The algorithm is not supported.
    #[error("must be argon2id or argon2i in PHC form, or bcrypt ($2b$, $2a$ or $2y$)")]
    Kind,
    /// The text does not follow the form of its algorithm.
    #[error("is not well-formed: {0}")]
    Form(&'static str),
    /// A parameter is out of bounds.
    #[error("is out of bounds: {0}")]
    Bounds(&'static str),
}

/// A parsed hash.
pub(super) enum Encoded {
    Argon2(Argon2Hash),
    Bcrypt,
}

#[derive(Clone)]
pub(super) struct Argon2Hash {
    pub(super) algorithm: argon2::Algorithm,
    pub(super) version: argon2::Version,
    /// In KiB.
    pub(super) memory: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
    pub(super) salt: Vec<u8>,
    pub(super) output: Vec<u8>,
}

impl Encoded {
    /// Parses a hash.
    pub(super) fn parse(text: &str) -> Result<Self, ImportError> {
        if text.len() > MAX_LENGTH {
            return Err(ImportError::Form("longer than any hash within the bounds"));
        }
        let kind = text.strip_prefix('$').and_then(|rest| rest.split_once('$'));
        let (kind, rest) = kind.ok_or(ImportError::Kind)?;
        match kind {
            "argon2id" => Argon2Hash::parse(argon2::Algorithm::Argon2id, rest).map(Self::Argon2),
            "argon2i" => Argon2Hash::parse(argon2::Algorithm::Argon2i, rest).map(Self::Argon2),
            "2a" | "2b" | "2y" => {
                check_bcrypt(rest)?;
                // The bits after the last byte must be zero, or no password ever matches.
                let parts = text.parse::<bcrypt::HashParts>();
                parts.map_err(|_| ImportError::Form("salt or hash has bits beyond its end"))?;
                Ok(Self::Bcrypt)
            }
            _ => Err(ImportError::Kind),
        }
    }
}

impl Argon2Hash {
    /// Parses `v=19$m=19456,t=2,p=1$salt$hash`. Without `v` the version is 16, as in the reference implementation.
    fn parse(algorithm: argon2::Algorithm, text: &str) -> Result<Self, ImportError> {
        let (version, rest) = match text.strip_prefix("v=") {
            Some(rest) => rest.split_once('$').ok_or(ImportError::Form("the text ends after `v`"))?,
            None => ("16", text),
        };
        let version = match version {
            "16" => argon2::Version::V0x10,
            "19" => argon2::Version::V0x13,
            _ => return Err(ImportError::Bounds("`v` must be 16 or 19")),
        };
        let parts: Vec<&str> = rest.split('$').collect();
        let [parameters, salt, output] = parts.as_slice() else {
            return Err(ImportError::Form("parameters, salt and hash must follow the algorithm"));
        };
        let parameters: Vec<&str> = parameters.split(',').collect();
        let [memory, passes, lanes] = parameters.as_slice() else {
            return Err(ImportError::Form(
                "the parameters must be `m`, `t` and `p`, in this order, and no others",
            ));
        };
        let hash = Self {
            algorithm,
            version,
            memory: parameter(memory, "m=").ok_or(ImportError::Form("`m` must be a whole number"))?,
            passes: parameter(passes, "t=").ok_or(ImportError::Form("`t` must be a whole number"))?,
            lanes: parameter(lanes, "p=").ok_or(ImportError::Form("`p` must be a whole number"))?,
            salt: STANDARD_NO_PAD
                .decode(salt)
                .map_err(|_| ImportError::Form("the salt must be base64 without padding"))?,
            output: STANDARD_NO_PAD
                .decode(output)
                .map_err(|_| ImportError::Form("the hash must be base64 without padding"))?,
        };
        hash.check_bounds()?;
        Ok(hash)
    }

    fn check_bounds(&self) -> Result<(), ImportError> {
        let Self { memory, passes, lanes, .. } = *self;
        // RFC 9106 section 3.1: at least 8 KiB a lane.
        let bounds = [
            ((1..=MAX_LANES).contains(&lanes), "`p` must be from 1 to 16"),
            (
                memory >= lanes.saturating_mul(8) && memory <= MAX_MEMORY,
                "`m` must be from 8 for each lane to 131072 (KiB)",
            ),
            ((1..=MAX_PASSES).contains(&passes), "`t` must be from 1 to 10"),
            (memory.saturating_mul(passes) <= MAX_WORK, "`m` times `t` must be at most 524288 (KiB)"),
            (SALT.contains(&self.salt.len()), "the salt must have 8 to 64 bytes"),
            (OUTPUT.contains(&self.output.len()), "the hash must have 16 to 64 bytes"),
        ];
        match bounds.into_iter().find(|(is_met, _)| !is_met) {
            Some((_, problem)) => Err(ImportError::Bounds(problem)),
            None => Ok(()),
        }
    }

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

/// A number in the canonical form of the PHC string format: without a sign or a leading zero.
fn parameter(text: &str, name: &str) -> Option<u32> {
    let digits = text.strip_prefix(name)?;
    let is_canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_canonical)
}

/// Checks `12$`, 22 characters of salt and 31 of hash.
fn check_bcrypt(rest: &str) -> Result<(), ImportError> {
    let (cost, text) = rest.split_once('$').ok_or(ImportError::Form("the text ends after the cost"))?;
    let digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    let cost = cost.parse().ok().filter(|_| digits);
    let cost: u32 = cost.ok_or(ImportError::Form("the cost must have two digits"))?;
    if !BCRYPT_COST.contains(&cost) {
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
    fn hashes_within_the_bounds_are_accepted() {
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
    fn an_error_names_the_parameter_that_is_out_of_bounds() {
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
    fn other_texts_are_rejected_without_an_echo() {
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
            assert!(!error.is_empty(), "{text} is accepted");
            for part in text.split('$').filter(|part| part.len() > 8) {
                assert!(!error.contains(part), "{error}");
            }
        }
    }
}

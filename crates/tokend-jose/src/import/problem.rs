//! The errors of imports.

use std::fmt;

use crate::{Algorithm, InvalidKeyId};

/// Why key material cannot be imported. Its text is for the caller.
#[derive(Debug, PartialEq, Eq)]
pub struct ImportError {
    /// The path inside the material, such as `keys[1].n`; empty for the material as a whole.
    pub path: String,
    /// The problem.
    pub problem: Problem,
}

/// The problems of key material. The texts contain nothing of the material.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("must be at most 64 KiB")]
    TooLarge,

    // The algorithm.
    #[error("needs an algorithm: the key may be for {0}")]
    AlgorithmNeeded(Choice),
    #[error("must be an algorithm that tokend uses")]
    AlgorithmUnknown,
    #[error("is not a key for {0}")]
    AlgorithmUnfit(Algorithm),
    #[error("is for {declared}, not for the requested {requested}")]
    AlgorithmContradicts {
        /// The algorithm in the material.
        declared: Algorithm,
        /// The algorithm that the caller requested.
        requested: Algorithm,
    },

    // PEM and DER.
    #[error("must contain a PEM block, which begins with `-----BEGIN`")]
    PemMissing,
    #[error("must be well-formed PEM (RFC 7468)")]
    PemMalformed,
    #[error("must have line breaks, not a backslash and an `n` for each: `printf '%b'` replaces them")]
    PemEscaped,
    #[error("must contain one PEM block only")]
    PemSeveral,
    #[error("must not be encrypted: decrypt it with `openssl pkey`")]
    PemEncrypted,
    #[error("must be a key, not a certificate: extract its key with `openssl x509 -noout -pubkey`")]
    PemCertificate,
    #[error(
        "must be a `PRIVATE KEY`, `EC PRIVATE KEY`, `RSA PRIVATE KEY`, `PUBLIC KEY` or `RSA PUBLIC KEY` block"
    )]
    PemLabel,
    #[error("must contain the DER that the label of its PEM block announces")]
    Der,
    #[error("must name its curve instead of its parameters")]
    CurveUnnamed,
    #[error("must name the same curve everywhere")]
    CurvesDiffer,

    // JWK.
    #[error("{0}")]
    Json(String),
    #[error("must be a JWK or a JWK set, not both")]
    KeyAndSet,
    #[error("must be given")]
    Missing,
    #[error("must be a string")]
    NotText,
    #[error("must be canonical base64url without padding")]
    Base64,
    #[error("must be a number without leading zero bytes")]
    Number,
    #[error("must be `EC`, `OKP`, `RSA`, `AKP` or `oct`")]
    KeyType,
    #[error(transparent)]
    KeyId(InvalidKeyId),
    #[error("must be `sig`, or `jwt-svid` of a SPIFFE bundle")]
    Use,
    #[error("must be a list of different strings")]
    KeyOps,
    #[error("must contain `verify`, or `sign` for a private key")]
    KeyOpsUnfit,
    #[error(
        "must contain all of `d`, `p`, `q`, `dp`, `dq` and `qi`: PyJWT adds them with `RSAAlgorithm.from_jwk` and `to_jwk`"
    )]
    RsaIncomplete,

    // JWK sets.
    #[error("must be a list of keys")]
    SetNotList,
    #[error("must contain at least one key")]
    SetEmpty,
    #[error("must contain at most 32 keys")]
    SetTooLong,
    #[error("must be a JSON object")]
    SetMember,
    #[error("must not be in one set with keys of the other kind: import secrets and public keys separately")]
    SetMixed,
    #[error("must be public: import private keys one at a time")]
    SetPrivate,
    #[error("must not be the id of another key of the set")]
    SetDuplicate,
    #[error("must not be a duplicate of another key of the set")]
    SetSameKey,

    // Invalid keys.
    #[error("the curve must be P-256 or P-384")]
    EcCurve,
    #[error("the curve must be Ed25519")]
    OkpCurve,
    #[error("must be of a kind that tokend uses: EC, Ed25519, RSA (not restricted to PSS) or ML-DSA")]
    KindUnknown,
    #[error("the point must be uncompressed")]
    PointForm,
    #[error("must have its full length of {0} bytes")]
    Length(usize),
    #[error("the point must be on its curve")]
    PointOffCurve,
    #[error("the point must be encoded canonically")]
    PointNotCanonical,
    #[error("the point must not be of small order: its signatures can be forged without the private key")]
    PointSmallOrder,
    #[error("the point must be in the subgroup of prime order")]
    PointMixedOrder,
    #[error("the modulus must have at least 2,048 bits")]
    RsaTooSmall,
    #[error("the modulus must have at most 8,192 bits")]
    RsaTooLarge,
    #[error("the modulus must be odd")]
    RsaEven,
    #[error("the modulus must have no small factors")]
    RsaSmallFactor,
    #[error("the public exponent must be odd, and from 65,537 to 4,294,967,295")]
    RsaExponent,
    #[error("must have two prime factors, not more")]
    RsaMultiPrime,
    #[error("the private number must be one of its curve")]
    PrivateNumber,
    #[error("must have a private part that belongs to its public part")]
    HalvesDiffer,
    #[error("must create signatures that its public part verifies")]
    DoesNotSign,

    // Secrets.
    #[error("must have at least {least} bytes for {algorithm} (RFC 7518 section 3.2)")]
    SecretTooShort {
        /// The algorithm.
        algorithm: Algorithm,
        /// The length of the hash.
        least: usize,
    },
    #[error("must be a secret of its own, not the text of a key: import that as PEM or JWK")]
    SecretIsKey,
}

/// The algorithms that a key may be for.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice(pub(super) Vec<Algorithm>);

impl Problem {
    /// The problem at a path.
    pub(super) fn at(self, path: impl Into<String>) -> ImportError {
        ImportError { path: path.into(), problem: self }
    }
}

impl ImportError {
    /// Whether the import only needs an algorithm.
    pub const fn needs_algorithm(&self) -> bool {
        matches!(self.problem, Problem::AlgorithmNeeded(_))
    }

    /// Whether the key is for another algorithm than the requested one.
    pub const fn is_other_algorithm(&self) -> bool {
        matches!(self.problem, Problem::AlgorithmContradicts { .. } | Problem::AlgorithmUnfit(_))
    }

    /// The error with its path inside of `place`.
    pub(super) fn inside(self, place: &str) -> Self {
        let path = if self.path.is_empty() { place.to_owned() } else { format!("{place}.{}", self.path) };
        Self { path, ..self }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "it {}", self.problem),
            path => write!(f, "`{path}` {}", self.problem),
        }
    }
}

impl From<Problem> for ImportError {
    fn from(problem: Problem) -> Self {
        problem.at("")
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|algorithm| algorithm.name()).collect();
        f.write_str(&names.join(", "))
    }
}

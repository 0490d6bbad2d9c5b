//! Key types (RFC 7518 section 6.1).

use crate::Algorithm;

/// The type of a key (`kty`). Each algorithm has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyType {
    /// A point on an elliptic curve (RFC 7518 section 6.2).
    Ec,
    /// A point on an Edwards curve (RFC 8037).
    Okp,
    /// A modulus and an exponent (RFC 7518 section 6.3).
    Rsa,
    /// A key for one algorithm (RFC 9964).
    Akp,
    /// A secret (RFC 7518 section 6.4).
    Oct,
}

impl KeyType {
    /// The key type of `algorithm`.
    pub(super) const fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 | Algorithm::Es384 => Self::Ec,
            Algorithm::EdDsa => Self::Okp,
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => Self::Rsa,
            Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87 => Self::Akp,
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => Self::Oct,
        }
    }
}

/// The curve (`crv`) of keys for `algorithm`, if they have one.
pub(super) const fn curve(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::Es256 => Some("P-256"),
        Algorithm::Es384 => Some("P-384"),
        Algorithm::EdDsa => Some("Ed25519"),
        _ => None,
    }
}

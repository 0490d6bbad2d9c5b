//! Why a token is rejected.

use crate::UnixTime;

/// The reason why a token is rejected, as the API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Not a JWS in compact form with a JSON object inside.
    Malformed,
    /// Longer than the size limit.
    TooLarge,
    /// `alg` is not the algorithm of the key with this `kid`.
    AlgorithmNotAllowed,
    /// No known key has this `kid`.
    KeyUnknown,
    /// The signature is invalid.
    SignatureInvalid,
    /// The header requires extensions (`crit`, RFC 7515 section 4.1.11).
    CriticalHeader,
    /// `typ` is not accepted.
    TypeMismatch,
    /// A claim is missing or has the wrong type.
    ClaimInvalid,
    /// `iss` is another issuer.
    IssuerMismatch,
    /// `aud` contains none of the expected audiences.
    AudienceMismatch,
    /// `exp` has passed.
    Expired,
    /// `nbf` or `iat` is in the future.
    NotYetValid,
    /// A required scope is not in `scope`.
    ScopeInsufficient,
    /// The token, its session, subject, client or key was revoked.
    Revoked,
    /// The token is bound to a key (`cnf`, RFC 7800), and the caller did not prove possession of that key.
    BindingMismatch,
}

impl Reason {
    /// Every reason, in the order of the table in the API.
    pub const ALL: [Self; 15] = [
        Self::Malformed,
        Self::TooLarge,
        Self::AlgorithmNotAllowed,
        Self::KeyUnknown,
        Self::SignatureInvalid,
        Self::CriticalHeader,
        Self::TypeMismatch,
        Self::ClaimInvalid,
        Self::IssuerMismatch,
        Self::AudienceMismatch,
        Self::Expired,
        Self::NotYetValid,
        Self::ScopeInsufficient,
        Self::Revoked,
        Self::BindingMismatch,
    ];

    /// The name in `google.rpc.ErrorInfo`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "TOKEN_MALFORMED",
            Self::TooLarge => "TOKEN_TOO_LARGE",
            Self::AlgorithmNotAllowed => "TOKEN_ALGORITHM_NOT_ALLOWED",
            Self::KeyUnknown => "TOKEN_KEY_UNKNOWN",
            Self::SignatureInvalid => "TOKEN_SIGNATURE_INVALID",
            Self::CriticalHeader => "TOKEN_CRITICAL_HEADER",
            Self::TypeMismatch => "TOKEN_TYPE_MISMATCH",
            Self::ClaimInvalid => "TOKEN_CLAIM_INVALID",
            Self::IssuerMismatch => "TOKEN_ISSUER_MISMATCH",
            Self::AudienceMismatch => "TOKEN_AUDIENCE_MISMATCH",
            Self::Expired => "TOKEN_EXPIRED",
            Self::NotYetValid => "TOKEN_NOT_YET_VALID",
            Self::ScopeInsufficient => "TOKEN_SCOPE_INSUFFICIENT",
            Self::Revoked => "TOKEN_REVOKED",
            Self::BindingMismatch => "TOKEN_BINDING_MISMATCH",
        }
    }
}

/// A rejected token: the reason, a sentence that contains nothing of the token, and metadata for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", reason.name())]
pub struct InvalidToken {
    /// The reason.
    pub reason: Reason,
    /// The reason as a sentence.
    pub detail: &'static str,
    /// The claims that caused the rejection, for `google.rpc.ErrorInfo`. Set only for a token with a valid signature.
    pub metadata: Vec<(&'static str, String)>,
}

impl InvalidToken {
    /// A token that is rejected for `reason`.
    pub const fn new(reason: Reason, detail: &'static str) -> Self {
        Self { reason, detail, metadata: Vec::new() }
    }

    /// An expired token. Its signature must be valid.
    pub fn expired(expire_time: UnixTime) -> Self {
        let metadata = vec![("expire_time", expire_time.to_string())];
        Self { metadata, ..Self::new(Reason::Expired, "the token has expired") }
    }
}

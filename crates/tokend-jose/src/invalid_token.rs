//! Why a token is refused.

use crate::UnixTime;

/// The reason for a refused token, as the API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Not a JWS in compact form with a JSON object inside.
    Malformed,
    /// Longer than the size limit.
    TooLarge,
    /// `alg` is not the algorithm of the key that `kid` names.
    AlgorithmNotAllowed,
    /// `kid` names no key of ours.
    KeyUnknown,
    /// The signature is not that key's over this text.
    SignatureInvalid,
    /// A `crit` header: extensions that must be understood, and none is.
    CriticalHeader,
    /// `typ` is not what this issuer writes.
    TypeMismatch,
    /// A claim is missing or of the wrong form.
    ClaimInvalid,
    /// `iss` is somebody else.
    IssuerMismatch,
    /// `aud` holds none of the audiences asked for.
    AudienceMismatch,
    /// `exp` has come.
    Expired,
    /// `nbf` or `iat` has not come.
    NotYetValid,
    /// A required scope is not in `scope`.
    ScopeInsufficient,
    /// It was revoked, or its session, or whose it is, or the key that signed it.
    Revoked,
    /// It is bound to a key (`cnf`), and the one who presents it did not show that key.
    BindingMismatch,
}

impl Reason {
    /// Every reason, in the order of the API's table.
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

    /// The reason's name in `google.rpc.ErrorInfo`.
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

/// A refused token: the reason, one sentence that holds nothing of the token, and what may be said of it to those who have it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", reason.name())]
pub struct InvalidToken {
    /// Why.
    pub reason: Reason,
    /// Why, in words for the caller.
    pub detail: &'static str,
    /// Claims that decided, for `google.rpc.ErrorInfo`: only of a token whose signature is good.
    pub metadata: Vec<(&'static str, String)>,
}

impl InvalidToken {
    /// A refusal for `reason`.
    pub const fn new(reason: Reason, detail: &'static str) -> Self {
        Self { reason, detail, metadata: Vec::new() }
    }

    /// An expired token. Its signature must be good.
    pub fn expired(expire_time: UnixTime) -> Self {
        let metadata = vec![("expire_time", expire_time.to_string())];
        Self { metadata, ..Self::new(Reason::Expired, "the token has expired") }
    }
}

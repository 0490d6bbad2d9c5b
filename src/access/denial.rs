//! Policy says no.

use super::check::{Check, Verdict};
use crate::model::{Client, Violations};

/// What a denied caller may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenialReason {
    /// The method.
    Method,
    /// An audience.
    Audience,
    /// A scope.
    Scope,
    /// The subject.
    Subject,
    /// An extra claim.
    Claim,
    /// The life.
    Ttl,
    /// A scope that the client may have, and the user who logs in may not.
    UserScope,
    /// An audience that the session does not have.
    SessionAudience,
    /// A scope that the session does not have.
    SessionScope,
}

impl DenialReason {
    /// The reason's name in `google.rpc.ErrorInfo`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Method => "METHOD_NOT_ALLOWED",
            Self::Audience | Self::SessionAudience => "AUDIENCE_NOT_ALLOWED",
            Self::Scope | Self::UserScope | Self::SessionScope => "SCOPE_NOT_ALLOWED",
            Self::Subject => "SUBJECT_NOT_ALLOWED",
            Self::Claim => "CLAIM_NOT_ALLOWED",
            Self::Ttl => "TTL_NOT_ALLOWED",
        }
    }

    const fn whose(self) -> &'static str {
        match self {
            Self::UserScope => "user's",
            Self::SessionAudience | Self::SessionScope => "session's",
            Self::Method | Self::Audience | Self::Scope | Self::Subject | Self::Claim | Self::Ttl => {
                "client's"
            }
        }
    }
}

/// Policy says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {} permissions do not allow {field}", reason.whose())]
pub struct Denial {
    /// What is not allowed.
    pub reason: DenialReason,
    /// The request's field, or the method's name.
    pub field: String,
    /// The line of the policy that forbids it, for those who see the policy; none where no line allows it.
    pub line: Option<String>,
}

impl Denial {
    /// The denial that `check` comes to, if it does.
    pub(super) fn of(check: &Check<'_>, client: &Client) -> Option<Self> {
        let Verdict::Denied(line) = check.verdict else { return None };
        let line = line.map(|line| line.of(client).to_string());
        Some(Self { reason: check.reason, field: check.place.to_string(), line })
    }
}

/// Why there is no grant.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Policy says no.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The request leaves out what the client has no default for.
    #[error("the request is incomplete")]
    Incomplete(Violations),
}

//! Policy says no.

use super::{
    check::{Check, Verdict},
    denial_words::Words,
    line::Line,
};
use crate::model::{Bounded, Client, Violations};

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
    /// A scope that the client may have, and the subject token does not hold.
    TokenScope,
    /// To exchange a token without an actor token.
    Impersonation,
    /// To exchange a token of this issuer.
    TokenIssuer,
    /// To exchange a token that is for somebody else.
    TokenAudience,
    /// To exchange a token of this subject.
    TokenSubject,
    /// To act for the subject, says its token.
    Actor,
    /// To administer a client that has a permission which the caller lacks.
    Exceeding,
    /// To verify a token of this issuer: a refusal of the token, and no denial.
    VerifiedIssuer,
}

impl DenialReason {
    /// The reason's name in `google.rpc.ErrorInfo`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Method => "METHOD_NOT_ALLOWED",
            Self::Audience | Self::SessionAudience | Self::TokenAudience => "AUDIENCE_NOT_ALLOWED",
            Self::Scope | Self::UserScope | Self::SessionScope | Self::TokenScope => "SCOPE_NOT_ALLOWED",
            Self::Subject
            | Self::Impersonation
            | Self::TokenIssuer
            | Self::TokenSubject
            | Self::Actor
            | Self::Exceeding => "SUBJECT_NOT_ALLOWED",
            Self::VerifiedIssuer => "TOKEN_ISSUER_MISMATCH",
            Self::Claim => "CLAIM_NOT_ALLOWED",
            Self::Ttl => "TTL_NOT_ALLOWED",
        }
    }
}

/// Policy says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Denial {
    /// What is not allowed.
    pub reason: DenialReason,
    /// The request's field, or the method's name.
    pub field: String,
    /// The line of the policy that forbids it, for those who see the policy; none where no line allows it.
    pub line: Option<Box<str>>,
    /// The value that is not allowed, as far as it may be logged.
    pub value: Option<Box<str>>,
    /// What is not allowed, and how to allow it: fit for the caller.
    pub message: Box<str>,
    /// The same for programs: `client`, `value`, `permission`, `max_ttl`.
    pub metadata: Box<[(&'static str, String)]>,
}

impl Denial {
    /// The id of the client that is refused.
    pub fn client(&self) -> &str {
        let client = self.metadata.iter().find(|(name, _)| *name == "client");
        client.map(|(_, id)| id.as_str()).unwrap_or_default()
    }

    /// The denial that `check` comes to, if it does.
    pub(super) fn of(check: &Check<'_>, client: &Client) -> Option<Self> {
        let Verdict::Denied(line) = check.verdict else { return None };
        Some(Self::by(line, check, client))
    }

    /// The denial of a check by this line, or because no line allows its value.
    pub(super) fn by(line: Option<Line>, check: &Check<'_>, client: &Client) -> Self {
        let words = Words { check, client, line };
        Self {
            reason: check.reason,
            field: check.place.to_string(),
            line: line.map(|line| line.of(client).to_string().into()),
            value: words.loggable_value().map(|value| Bounded(value).to_string().into()),
            message: words.message().into(),
            metadata: words.metadata().into(),
        }
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

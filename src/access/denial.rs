//! Denials: the errors of policy.

use super::{
    decision::{Check, Verdict},
    denial_text::DenialText,
};
use crate::model::{Bounded, Client, Violations};

/// What a client may not have or do.
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
    /// The lifetime.
    Ttl,
    /// A scope that the user does not have.
    UserScope,
    /// An audience that the session does not have.
    SessionAudience,
    /// A scope that the session does not have.
    SessionScope,
    /// A scope that the subject token does not have.
    TokenScope,
    /// An exchange without an actor token.
    Impersonation,
    /// An exchange of a token of this issuer.
    TokenIssuer,
    /// An exchange of a token for other audiences.
    TokenAudience,
    /// An exchange of a token with this subject.
    TokenSubject,
    /// An actor that the subject token does not name.
    Actor,
    /// Administration of a client with a permission that the caller lacks.
    Exceeding,
    /// Verification of a token of this issuer: a refusal of the token rather than a denial.
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

/// A denial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Denial {
    /// What is not allowed.
    pub reason: DenialReason,
    /// The request's field, or the method's name.
    pub field: String,
    /// The rule that forbids the value, for operators; none if no rule allows it.
    pub line: Option<Box<str>>,
    /// The denied value, if it may be logged.
    pub value: Option<Box<str>>,
    /// The message to the caller: what is not allowed, and how to allow it.
    pub message: Box<str>,
    /// The message for programs: `client`, `value`, `permission`, `max_ttl`.
    pub metadata: Box<[(&'static str, String)]>,
}

impl Denial {
    /// The id of the denied client.
    pub fn client(&self) -> &str {
        let client = self.metadata.iter().find(|(name, _)| *name == "client");
        client.map(|(_, id)| id.as_str()).unwrap_or_default()
    }

    /// The denial of `check`, if it is denied.
    pub(super) fn of(check: &Check<'_>, client: &Client) -> Option<Self> {
        let Verdict::Denied(rule) = check.verdict else { return None };
        let text = DenialText { check, client, rule };
        Some(Self {
            reason: check.reason,
            field: check.field.to_string(),
            line: rule.map(|rule| rule.of(client).to_string().into()),
            value: text.loggable_value().map(|value| Bounded(value).to_string().into()),
            message: text.message().into(),
            metadata: text.metadata().into(),
        })
    }
}

/// Why there is no grant.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Policy denies the request.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The request omits a field for which the client has no default.
    #[error("the request is incomplete")]
    Incomplete(Violations),
}

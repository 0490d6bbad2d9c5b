//! Policy says no.

use super::{
    check::{Check, Verdict},
    line::Line,
};
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

    /// The denial in words for the caller, who named `field`.
    fn words(self, field: &str) -> String {
        match self {
            Self::Method | Self::Audience | Self::Scope | Self::Subject | Self::Claim | Self::Ttl => {
                format!("the client's permissions do not allow {field}")
            }
            Self::UserScope => format!("the user's permissions do not allow {field}"),
            Self::SessionAudience | Self::SessionScope => {
                format!("the session's permissions do not allow {field}")
            }
            Self::TokenScope => format!("the subject token does not hold {field}"),
            Self::Impersonation => {
                "without an actor token the client must be allowed to impersonate: give one, or set the permission \
                 `impersonate`"
                    .to_owned()
            }
            Self::Exceeding => {
                format!("the caller lacks {field}, and may administer only clients whose permissions it has itself")
            }
            Self::TokenIssuer | Self::VerifiedIssuer => format!("the client's permissions do not allow the issuer of {field}"),
            Self::TokenAudience => {
                format!("{field} is neither for the client nor for an audience that its permissions allow")
            }
            Self::TokenSubject => format!("the client's permissions do not allow the subject of {field}"),
            Self::Actor => "the subject token's `may_act` does not name this actor".to_owned(),
        }
    }
}

/// Policy says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", reason.words(field))]
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
        Some(Self::by(line, check, client))
    }

    /// The denial of a check by this line, or because no line allows its value.
    pub(super) fn by(line: Option<Line>, check: &Check<'_>, client: &Client) -> Self {
        let line = line.map(|line| line.of(client).to_string());
        Self { reason: check.reason, field: check.place.to_string(), line }
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

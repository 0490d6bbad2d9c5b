//! The lines of a client's policy. What is allowed or forbidden remembers by which; the words are made only for those who
//! ask.

use std::fmt;

use super::DenialReason;
use crate::model::{Bounded, Client, Pattern, Permissions, Ttl};

/// A line of a client's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// A pattern of a list.
    Pattern(List, usize),
    /// `permissions.roles[i]`
    Role(usize),
    /// `permissions.claim_values[i]`
    ClaimValues(usize),
    /// `permissions.max_ttl`
    MaxTtl,
    /// The server's own `max_ttl`.
    ServerMaxTtl,
    /// `permissions.impersonate`
    Impersonate,
    /// A client may always have tokens about itself, and use those that are for it.
    OwnId,
    /// What a user, a session or a token holds.
    Held(Held),
    /// The claim `may_act` of the subject token.
    MayAct,
    /// Tokens of this server's own issuer are accepted by each client that may verify any.
    OwnIssuer,
}

/// What somebody or something holds, of which a token may have no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// The scopes of the user.
    UserScopes,
    /// The audiences of the session.
    SessionAudiences,
    /// The scopes of the session.
    SessionScopes,
    /// The scopes of the subject token.
    TokenScopes,
}

impl Held {
    /// What somebody else's is for a denial.
    pub(super) const fn reason(self) -> DenialReason {
        match self {
            Self::UserScopes => DenialReason::UserScope,
            Self::SessionAudiences => DenialReason::SessionAudience,
            Self::SessionScopes => DenialReason::SessionScope,
            Self::TokenScopes => DenialReason::TokenScope,
        }
    }

    /// The request's field that asks for it.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::SessionAudiences => "audiences",
            Self::UserScopes | Self::SessionScopes | Self::TokenScopes => "scopes",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::UserScopes => "the user's scopes",
            Self::SessionAudiences => "the session's audiences",
            Self::SessionScopes => "the session's scopes",
            Self::TokenScopes => "the subject token's scopes",
        }
    }
}

/// What decides about a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// A permission that is a list of patterns.
    List(List),
    /// The longest lifetime, beside the one that is asked for.
    MaxTtl {
        /// What is asked for.
        asked: Ttl,
        /// What is allowed.
        most: Ttl,
    },
    /// Something else, which the reason names.
    Other,
}

/// A list of patterns in a client's permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    /// `permissions.methods`
    Methods,
    /// `permissions.audiences`
    Audiences,
    /// `permissions.scopes`
    Scopes,
    /// `permissions.subjects`
    Subjects,
    /// `permissions.claims`
    Claims,
    /// `permissions.verify_audiences`
    VerifyAudiences,
    /// `permissions.login_usernames`
    LoginUsernames,
    /// `permissions.revoke_subjects`
    RevokeSubjects,
    /// `permissions.revoke_clients`
    RevokeClients,
    /// `permissions.exchange_subjects`
    ExchangeSubjects,
    /// `permissions.exchange_audiences`
    ExchangeAudiences,
    /// `permissions.exchange_issuers`
    ExchangeIssuers,
    /// `permissions.verify_issuers`
    VerifyIssuers,
    /// `permissions.exchange_actors`
    ExchangeActors,
    /// `permissions.admin_clients`
    AdminClients,
}

impl List {
    /// Every list.
    pub(super) const ALL: [Self; 15] = [
        Self::Methods,
        Self::Audiences,
        Self::Scopes,
        Self::Subjects,
        Self::Claims,
        Self::VerifyAudiences,
        Self::LoginUsernames,
        Self::RevokeSubjects,
        Self::RevokeClients,
        Self::ExchangeSubjects,
        Self::ExchangeAudiences,
        Self::ExchangeIssuers,
        Self::VerifyIssuers,
        Self::ExchangeActors,
        Self::AdminClients,
    ];

    /// The list's patterns.
    pub(crate) fn patterns(self, permissions: &Permissions) -> &[Pattern] {
        match self {
            Self::Methods => &permissions.methods,
            Self::Audiences => &permissions.audiences,
            Self::Scopes => &permissions.scopes,
            Self::Subjects => &permissions.subjects,
            Self::Claims => &permissions.claims,
            Self::VerifyAudiences => &permissions.verify_audiences,
            Self::LoginUsernames => &permissions.login_usernames,
            Self::RevokeSubjects => &permissions.revoke_subjects,
            Self::RevokeClients => &permissions.revoke_clients,
            Self::ExchangeSubjects => &permissions.exchange_subjects,
            Self::ExchangeAudiences => &permissions.exchange_audiences,
            Self::ExchangeIssuers => &permissions.exchange_issuers,
            Self::VerifyIssuers => &permissions.verify_issuers,
            Self::ExchangeActors => &permissions.exchange_actors,
            Self::AdminClients => &permissions.admin_clients,
        }
    }

    /// The list's name among the permissions.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Methods => "methods",
            Self::Audiences => "audiences",
            Self::Scopes => "scopes",
            Self::Subjects => "subjects",
            Self::Claims => "claims",
            Self::VerifyAudiences => "verify_audiences",
            Self::LoginUsernames => "login_usernames",
            Self::RevokeSubjects => "revoke_subjects",
            Self::RevokeClients => "revoke_clients",
            Self::ExchangeSubjects => "exchange_subjects",
            Self::ExchangeAudiences => "exchange_audiences",
            Self::ExchangeIssuers => "exchange_issuers",
            Self::VerifyIssuers => "verify_issuers",
            Self::ExchangeActors => "exchange_actors",
            Self::AdminClients => "admin_clients",
        }
    }
}

impl Line {
    /// The line in words, as it stands in this client's policy.
    pub(crate) const fn of(self, client: &Client) -> LineText<'_> {
        LineText { line: self, permissions: &client.settings.permissions }
    }
}

/// A line in words: `permissions.audiences[2] "billing-*"`.
pub(crate) struct LineText<'a> {
    line: Line,
    permissions: &'a Permissions,
}

impl fmt::Display for LineText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permissions = self.permissions;
        match self.line {
            Line::Pattern(list, index) => {
                write!(f, "permissions.{}[{index}]", list.name())?;
                match list.patterns(permissions).get(index) {
                    Some(pattern) => write!(f, " \"{}\"", Bounded(&pattern.to_string())),
                    None => Ok(()),
                }
            }
            Line::Role(index) => {
                write!(f, "permissions.roles[{index}]")?;
                permissions.roles.get(index).map_or(Ok(()), |role| write!(f, " \"{role}\""))
            }
            Line::ClaimValues(index) => write!(f, "permissions.claim_values[{index}]"),
            Line::MaxTtl => write!(f, "permissions.max_ttl {} s", permissions.max_ttl.seconds()),
            Line::ServerMaxTtl => f.write_str("the server's setting `max_ttl`"),
            Line::Impersonate => f.write_str("permissions.impersonate"),
            Line::OwnId => f.write_str("the client's own id"),
            Line::Held(held) => f.write_str(held.words()),
            Line::OwnIssuer => f.write_str("the server's own issuer"),
            Line::MayAct => f.write_str("the subject token's `may_act`"),
        }
    }
}

//! The rules of a client's policy. A decision refers to its rule; the text of a rule is made on demand.

use std::fmt;

use super::DenialReason;
use crate::model::{Bounded, Client, Pattern, Permissions, Ttl};

/// A rule that allows or forbids a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    Pattern(PatternList, usize),
    /// `permissions.roles[i]`
    Role(usize),
    /// `permissions.claim_values[i]`
    ClaimValues(usize),
    /// `permissions.max_ttl`
    MaxTtl,
    /// The server's setting `max_ttl`.
    ServerMaxTtl,
    /// `permissions.impersonate`
    Impersonate,
    /// A client may always have tokens about itself, and use tokens whose audience it is.
    OwnId,
    /// An entitlement of a user, a session or a token.
    Entitlement(Entitlement),
    /// The claim `may_act` of the subject token.
    MayAct,
    /// Each client that may verify tokens accepts this server's own issuer.
    OwnIssuer,
}

/// An entitlement of a user, a session or a token, which a new token cannot exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entitlement {
    UserScopes,
    SessionAudiences,
    SessionScopes,
    /// The scopes of the subject token.
    TokenScopes,
}

impl Entitlement {
    pub(super) const fn reason(self) -> DenialReason {
        match self {
            Self::UserScopes => DenialReason::UserScope,
            Self::SessionAudiences => DenialReason::SessionAudience,
            Self::SessionScopes => DenialReason::SessionScope,
            Self::TokenScopes => DenialReason::TokenScope,
        }
    }

    /// The field of the request.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::SessionAudiences => "audiences",
            Self::UserScopes | Self::SessionScopes | Self::TokenScopes => "scopes",
        }
    }
}

/// The permission that decides about a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    List(PatternList),
    /// The maximum lifetime.
    MaxTtl {
        /// The requested lifetime.
        requested: Ttl,
        /// The maximum.
        max: Ttl,
    },
    /// Another permission, which the denial's reason names.
    Other,
}

macro_rules! pattern_lists {
    ($($list:ident: $field:ident,)+) => {
        /// A list of patterns in a client's permissions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum PatternList {
            $(#[doc = concat!("`permissions.", stringify!($field), "`")] $list,)+
        }

        impl PatternList {
            /// Every list.
            pub(super) const ALL: &[Self] = &[$(Self::$list),+];

            /// The list's patterns.
            pub(crate) fn patterns(self, permissions: &Permissions) -> &[Pattern] {
                match self { $(Self::$list => &permissions.$field),+ }
            }

            /// The list's name in the permissions.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$list => stringify!($field)),+ }
            }
        }
    };
}

pattern_lists! {
    Methods: methods,
    Audiences: audiences,
    Scopes: scopes,
    Subjects: subjects,
    Claims: claims,
    VerifyAudiences: verify_audiences,
    LoginUsernames: login_usernames,
    RevokeSubjects: revoke_subjects,
    RevokeClients: revoke_clients,
    ExchangeSubjects: exchange_subjects,
    ExchangeAudiences: exchange_audiences,
    ExchangeIssuers: exchange_issuers,
    VerifyIssuers: verify_issuers,
    ExchangeActors: exchange_actors,
    AdminClients: admin_clients,
}

impl Rule {
    /// The text of the rule in this client's policy: `permissions.audiences[2] "billing-*"`.
    pub(crate) const fn of(self, client: &Client) -> RuleText<'_> {
        RuleText { rule: self, permissions: &client.settings.permissions }
    }
}

/// Displays a rule.
pub(crate) struct RuleText<'a> {
    rule: Rule,
    permissions: &'a Permissions,
}

impl fmt::Display for RuleText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permissions = self.permissions;
        match self.rule {
            Rule::Pattern(list, index) => {
                write!(f, "permissions.{}[{index}]", list.name())?;
                match list.patterns(permissions).get(index) {
                    Some(pattern) => write!(f, " \"{}\"", Bounded(&pattern.to_string())),
                    None => Ok(()),
                }
            }
            Rule::Role(index) => {
                write!(f, "permissions.roles[{index}]")?;
                permissions.roles.get(index).map_or(Ok(()), |role| write!(f, " \"{role}\""))
            }
            Rule::ClaimValues(index) => write!(f, "permissions.claim_values[{index}]"),
            Rule::MaxTtl => write!(f, "permissions.max_ttl {} s", permissions.max_ttl.seconds()),
            Rule::ServerMaxTtl => f.write_str("the server's setting `max_ttl`"),
            Rule::Impersonate => f.write_str("permissions.impersonate"),
            Rule::OwnId => f.write_str("the client's own id"),
            Rule::Entitlement(Entitlement::UserScopes) => f.write_str("the user's scopes"),
            Rule::Entitlement(Entitlement::SessionAudiences) => f.write_str("the session's audiences"),
            Rule::Entitlement(Entitlement::SessionScopes) => f.write_str("the session's scopes"),
            Rule::Entitlement(Entitlement::TokenScopes) => f.write_str("the subject token's scopes"),
            Rule::OwnIssuer => f.write_str("the server's own issuer"),
            Rule::MayAct => f.write_str("the subject token's `may_act`"),
        }
    }
}

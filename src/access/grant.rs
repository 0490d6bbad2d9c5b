//! What policy allowed. Fields are private and only `policy` makes a grant, so that a forgotten check does not compile.

use std::{sync::Arc, time::Duration};

use crate::model::{Algorithm, ClientId, ExtraClaims, Pattern, TokenType, Ttl, UnixTime};

/// A token that may be issued: every value was asked for and allowed, or is the client's own default.
#[derive(Debug)]
pub(crate) struct IssueGrant {
    pub(super) client_id: ClientId,
    pub(super) subject: String,
    pub(super) audiences: Vec<String>,
    pub(super) scopes: Vec<String>,
    pub(super) ttl: Ttl,
    pub(super) not_before_time: Option<UnixTime>,
    pub(super) claims: ExtraClaims,
    pub(super) token_type: TokenType,
    pub(super) algorithm: Option<Algorithm>,
}

impl IssueGrant {
    /// Who asked.
    pub(crate) const fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// `sub`
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// `aud`, never empty
    pub(crate) fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// `scope`
    pub(crate) fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The token's life.
    pub(crate) const fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// `nbf`
    pub(crate) const fn not_before_time(&self) -> Option<UnixTime> {
        self.not_before_time
    }

    /// Claims to add.
    pub(crate) const fn claims(&self) -> &ExtraClaims {
        &self.claims
    }

    /// `typ`
    pub(crate) const fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// What signs; none means the default.
    pub(crate) const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }
}

/// A token that may be verified, for audiences that the caller answers for.
pub(crate) struct VerifyGrant {
    pub(super) token: String,
    pub(super) audiences: Vec<Audience>,
    pub(super) required_scopes: Vec<String>,
    pub(super) leeway: Option<Duration>,
}

/// An audience that the caller answers for.
#[derive(Debug)]
pub(crate) enum Audience {
    /// One that it named.
    Named(String),
    /// One of its own, when it named none.
    Own(Pattern),
}

impl Audience {
    fn matches(&self, audience: &str) -> bool {
        match self {
            Self::Named(name) => name == audience,
            Self::Own(pattern) => pattern.matches(audience),
        }
    }
}

impl VerifyGrant {
    /// The token as it came.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Whether the caller answers for `audience`.
    pub(crate) fn answers_for(&self, audience: &str) -> bool {
        self.audiences.iter().any(|own| own.matches(audience))
    }

    /// Scopes that the token must hold.
    pub(crate) fn required_scopes(&self) -> &[String] {
        &self.required_scopes
    }

    /// By how much clocks may differ.
    pub(crate) const fn leeway(&self) -> Option<Duration> {
        self.leeway
    }
}

/// Leave to call one administrative method.
#[derive(Debug)]
pub(crate) struct AdminGrant {
    pub(super) caller: Arc<str>,
}

impl AdminGrant {
    /// Who administers, for the log.
    pub(crate) fn caller(&self) -> &str {
        &self.caller
    }
}

//! Grants: permissions to do one thing. Their fields are private and only policy makes them, so that a forgotten check does not
//! compile.
//!
//! A grant keeps the client of the decision. The text of the decisions is made on demand.

use std::{fmt::Display, sync::Arc, time::Duration};

use super::{
    check::{self, RequestedToken},
    decision::{Decisions, DecisionsText},
    policy::IssueRules,
};
use crate::model::{
    Actor, Algorithm, Client, ClientId, ExtraClaims, Method, Pattern, SessionId, TokenType, Ttl, UnixTime,
};

/// Permission to issue a token. Every value was requested and allowed, or is the client's default.
#[derive(Debug, Clone)]
pub(crate) struct IssueGrant {
    pub(super) client: Arc<Client>,
    /// The called method.
    pub(super) method: Method,
    pub(super) subject: String,
    pub(super) audiences: Vec<String>,
    pub(super) scopes: Vec<String>,
    pub(super) ttl: Ttl,
    pub(super) not_before_time: Option<UnixTime>,
    pub(super) claims: ExtraClaims,
    pub(super) token_type: TokenType,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) with_session: bool,
    /// Whether the subject and the claims are those of a user.
    pub(super) of_user: bool,
    pub(super) session_id: Option<SessionId>,
    pub(super) actor: Option<Actor>,
    pub(super) not_after: Option<UnixTime>,
    pub(super) origin_time: Option<UnixTime>,
    /// The decisions, if they depend on the request only.
    pub(super) decisions: Decisions,
}

impl IssueGrant {
    pub(crate) fn client_id(&self) -> &ClientId {
        &self.client.client_id
    }

    /// The checked values and the rules that allowed them, for the audit log.
    pub(crate) fn policy(&self, rules: &IssueRules) -> Arc<dyn Display + Send + Sync> {
        let client = Arc::clone(&self.client);
        if !self.decisions.is_empty() {
            return Arc::new(DecisionsText { client, decisions: self.decisions.clone() });
        }
        // The request alone does not decide: the rules are found again.
        let requested = RequestedToken {
            subject: Some(&self.subject),
            audiences: &self.audiences,
            scopes: &self.scopes,
            claims: &self.claims,
            ttl: Some(self.ttl),
            with_session: self.with_session,
        };
        let method = [check::method(&client, self.method)].into_iter();
        Arc::new(if self.of_user {
            DecisionsText::of(&client, method.chain(check::user_token(&client, requested, rules)))
        } else if self.method == Method::ExchangeToken {
            let mut checks = check::exchange(&client, self.actor.is_some(), requested, rules);
            // The subject comes early, because a long text is cut.
            let subject = check::exchanged_subject(&client, &self.subject);
            DecisionsText::of(&client, checks.next().into_iter().chain([subject]).chain(checks))
        } else {
            DecisionsText::of(&client, method.chain(check::token(&client, requested, rules)))
        })
    }

    /// `sub`
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// `aud`, never empty
    pub(crate) fn audiences(&self) -> &[String] {
        &self.audiences
    }

    pub(crate) fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The lifetime.
    pub(crate) const fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// `nbf`
    pub(crate) const fn not_before_time(&self) -> Option<UnixTime> {
        self.not_before_time
    }

    pub(crate) const fn claims(&self) -> &ExtraClaims {
        &self.claims
    }

    pub(crate) const fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// The signing algorithm; `None` is the default one.
    pub(crate) const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Whether a session begins with the token.
    pub(crate) const fn with_session(&self) -> bool {
        self.with_session
    }

    pub(crate) const fn session_id(&self) -> Option<&SessionId> {
        self.session_id.as_ref()
    }

    /// The token in a session, which it does not outlive.
    pub(crate) fn in_session(self, session_id: SessionId, ends: UnixTime) -> Self {
        Self { session_id: Some(session_id), not_after: Some(ends), ..self }
    }

    /// The extra claims of the request. Claims of a user are excluded: they may change before the next refresh.
    pub(crate) fn requested_claims(&self) -> ExtraClaims {
        if self.of_user { ExtraClaims::default() } else { self.claims.clone() }
    }

    /// `act`
    pub(crate) const fn actor(&self) -> Option<&Actor> {
        self.actor.as_ref()
    }

    /// `orig_iat`: the issue time of the session or the subject token, if there is one.
    pub(crate) const fn origin_time(&self) -> Option<UnixTime> {
        self.origin_time
    }

    /// The latest expiry.
    pub(crate) const fn not_after(&self) -> Option<UnixTime> {
        self.not_after
    }
}

/// Permission to verify a token for the caller's audiences.
pub(crate) struct VerifyGrant {
    pub(super) client: Arc<Client>,
    pub(super) token: String,
    /// The requested audiences; empty means the client's own.
    pub(super) audiences: Vec<String>,
    pub(super) required_scopes: Vec<String>,
    /// The requested issuers; empty means all that the permissions allow.
    pub(super) issuers: Vec<String>,
    pub(super) leeway: Option<Duration>,
}

impl VerifyGrant {
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Whether `audience` is an audience of the caller.
    pub(crate) fn has_audience(&self, audience: &str) -> bool {
        has_audience(&self.client, &self.audiences, audience)
    }

    /// The caller's audiences, or patterns of them.
    pub(crate) fn expected_audiences(&self) -> impl Iterator<Item = &str> {
        let own = self.audiences.is_empty().then(|| own_audiences(&self.client).map(Pattern::as_str));
        self.audiences.iter().map(String::as_str).chain(own.into_iter().flatten())
    }

    /// Whether the caller accepts tokens of `issuer`. `is_own`: `issuer` is this server's.
    pub(crate) fn accepts_issuer(&self, issuer: &str, is_own: bool) -> bool {
        accepts_issuer(&self.client, &self.issuers, issuer, is_own)
    }

    /// Whether the caller has no audience.
    pub(super) fn has_no_audience(&self) -> bool {
        self.audiences.is_empty() && own_audiences(&self.client).next().is_none()
    }

    /// The scopes that the token must have.
    pub(crate) fn required_scopes(&self) -> &[String] {
        &self.required_scopes
    }

    /// The accepted clock difference.
    pub(crate) const fn leeway(&self) -> Option<Duration> {
        self.leeway
    }
}

/// Permission to introspect a token.
pub(crate) struct IntrospectGrant {
    pub(super) client: Arc<Client>,
    pub(super) token: String,
    /// The requested audiences; empty means the client's own, and tokens that were issued to the client.
    pub(super) audiences: Vec<String>,
    /// The requested issuers; empty means all that the permissions allow.
    pub(super) issuers: Vec<String>,
}

impl IntrospectGrant {
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Whether the caller accepts tokens of `issuer`. `is_own`: `issuer` is this server's.
    pub(crate) fn accepts_issuer(&self, issuer: &str, is_own: bool) -> bool {
        accepts_issuer(&self.client, &self.issuers, issuer, is_own)
    }

    /// Whether the caller may see an access token with these audiences, issued here to `client_id`. With requested audiences only those
    /// count: the caller may be about to accept the token for one of them.
    pub(crate) fn shows_access_token(&self, audiences: &[String], client_id: Option<&str>) -> bool {
        let is_its_own = self.audiences.is_empty() && client_id == Some(self.client.client_id.as_str());
        is_its_own || audiences.iter().any(|audience| has_audience(&self.client, &self.audiences, audience))
    }

    /// Whether the caller may see a refresh token with these audiences, issued to `client_id`: only its own client may.
    pub(crate) fn shows_refresh_token(&self, client_id: &ClientId, audiences: &[String]) -> bool {
        *client_id == self.client.client_id
            && (self.audiences.is_empty()
                || self.audiences.iter().any(|requested| audiences.contains(requested)))
    }
}

/// Whether `audience` is requested, or, without requested audiences, the client's own.
fn has_audience(client: &Client, requested: &[String], audience: &str) -> bool {
    if requested.is_empty() {
        return own_audiences(client).any(|own| own.matches(audience));
    }
    requested.iter().any(|requested| requested == audience)
}

/// Whether `issuer` is requested, and this server's own or one that the permissions allow.
fn accepts_issuer(client: &Client, requested: &[String], issuer: &str, is_own: bool) -> bool {
    (requested.is_empty() || requested.iter().any(|requested| requested == issuer))
        && check::verified_issuer(client, issuer, is_own).is_allowed()
}

/// The client's own audiences. A bare `*` allows a client to request any audience, and is not an audience of its own.
fn own_audiences(client: &Client) -> impl Iterator<Item = &Pattern> {
    client.settings.permissions.verify_audiences.iter().filter(|pattern| !pattern.is_any())
}

/// Permission to call one administrative method.
#[derive(Debug)]
pub(crate) struct AdminGrant {
    pub(super) client: Arc<Client>,
    pub(super) method: Method,
}

impl AdminGrant {
    pub(crate) fn caller_id(&self) -> &ClientId {
        &self.client.client_id
    }

    /// The rule that allows the method.
    pub(crate) fn policy(&self) -> String {
        DecisionsText::of(&self.client, [check::method(&self.client, self.method)]).to_string()
    }
}

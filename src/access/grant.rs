//! What policy allowed. Fields are private and only `policy` makes a grant, so that a forgotten check does not compile.
//!
//! A grant keeps the client as it was, and an IssueGrant the lines of its policy that decided where the request alone decides. They are
//! put into words only for those who ask.

use std::{
    fmt::{Display, Write as _},
    sync::Arc,
    time::Duration,
};

use super::{
    check::{self, AskedToken, Check, Verdict},
    decision::{DecidedPolicy, Decisions, MOST_NAMED},
    policy::IssueRules,
};
use crate::model::{
    Actor, Algorithm, Client, ClientId, ExtraClaims, Method, Pattern, SessionId, TokenType, Ttl, UnixTime,
};

/// A token that may be issued: every value was asked for and allowed, or is the client's own default.
#[derive(Debug, Clone)]
pub(crate) struct IssueGrant {
    pub(super) client: Arc<Client>,
    /// What asked for it.
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
    /// Whether it is about a user, whose subject and claims it holds.
    pub(super) of_user: bool,
    pub(super) session_id: Option<SessionId>,
    pub(super) actor: Option<Actor>,
    pub(super) not_after: Option<UnixTime>,
    pub(super) origin_time: Option<UnixTime>,
    /// What was decided, in its order, where the request alone decides.
    pub(super) decisions: Decisions,
}

impl IssueGrant {
    /// Who asked.
    pub(crate) fn client_id(&self) -> &ClientId {
        &self.client.client_id
    }

    /// What was looked at, and the line that allowed it, in words for those who see the policy. It holds nothing of the request but what
    /// the words need.
    pub(crate) fn policy(&self, rules: &IssueRules) -> Arc<dyn Display + Send + Sync> {
        if self.decisions.is_empty() {
            return Arc::new(self.policy_again(rules));
        }
        Arc::new(DecidedPolicy { client: Arc::clone(&self.client), decisions: self.decisions.clone() })
    }

    /// The same of a grant whose request alone does not decide: the lines are found again.
    fn policy_again(&self, rules: &IssueRules) -> String {
        let asked = AskedToken {
            subject: Some(&self.subject),
            audiences: &self.audiences,
            scopes: &self.scopes,
            claims: &self.claims,
            ttl: Some(self.ttl),
            with_session: self.with_session,
        };
        let client = &*self.client;
        let checks = [check::method(client, self.method)].into_iter();
        if self.of_user {
            return words(client, checks.chain(check::user_token(client, asked, rules)));
        }
        if self.method == Method::ExchangeToken {
            let mut exchange = check::exchange(client, self.actor.is_some(), asked, rules);
            // Whose token it was comes early: a long text is cut short.
            let token = check::exchanged_subject(client, &self.subject);
            return words(client, exchange.next().into_iter().chain([token]).chain(exchange));
        }
        words(client, checks.chain(check::token(client, asked, rules)))
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

    /// Whether a session is to begin with the token.
    pub(crate) const fn with_session(&self) -> bool {
        self.with_session
    }

    /// `sid`
    pub(crate) const fn session_id(&self) -> Option<&SessionId> {
        self.session_id.as_ref()
    }

    /// The same token as one of this session, which it does not outlive.
    pub(crate) fn in_session(self, session_id: SessionId, ends: UnixTime) -> Self {
        Self { session_id: Some(session_id), not_after: Some(ends), ..self }
    }

    /// Claims that were asked for: those of a user are the user's own, and may be others at the next look.
    pub(crate) fn asked_claims(&self) -> ExtraClaims {
        if self.of_user { ExtraClaims::default() } else { self.claims.clone() }
    }

    /// `act`
    pub(crate) const fn actor(&self) -> Option<&Actor> {
        self.actor.as_ref()
    }

    /// `orig_iat`: when that was issued which the token comes of, if it comes of anything.
    pub(crate) const fn origin_time(&self) -> Option<UnixTime> {
        self.origin_time
    }

    /// When it ends at the latest.
    pub(crate) const fn not_after(&self) -> Option<UnixTime> {
        self.not_after
    }
}

/// A token that may be verified, for audiences that the caller answers for.
pub(crate) struct VerifyGrant {
    pub(super) client: Arc<Client>,
    pub(super) token: String,
    /// Those that it named; none means its own.
    pub(super) audiences: Vec<String>,
    pub(super) required_scopes: Vec<String>,
    /// Those that it named; none means all that its permissions allow.
    pub(super) issuers: Vec<String>,
    pub(super) leeway: Option<Duration>,
}

impl VerifyGrant {
    /// The token as it came.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Whether the caller answers for `audience`.
    pub(crate) fn answers_for(&self, audience: &str) -> bool {
        answers_for(&self.client, &self.audiences, audience)
    }

    /// The audiences, or patterns of audiences, that the caller answers for.
    pub(crate) fn expected_audiences(&self) -> impl Iterator<Item = &str> {
        let own = self.audiences.is_empty().then(|| own_audiences(&self.client).map(Pattern::as_str));
        self.audiences.iter().map(String::as_str).chain(own.into_iter().flatten())
    }

    /// Whether the caller accepts tokens of `issuer`; `is_own`: of this server's.
    pub(crate) fn accepts_issuer(&self, issuer: &str, is_own: bool) -> bool {
        accepts_issuer(&self.client, &self.issuers, issuer, is_own)
    }

    /// Whether there is no audience that the caller answers for.
    pub(super) fn has_no_audience(&self) -> bool {
        self.audiences.is_empty() && own_audiences(&self.client).next().is_none()
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

/// Leave to ask whether a token is good.
pub(crate) struct IntrospectGrant {
    pub(super) client: Arc<Client>,
    pub(super) token: String,
    /// Those that it named; none means its own, and whatever is for others but was issued to it.
    pub(super) audiences: Vec<String>,
    /// Those that it named; none means all that its permissions allow.
    pub(super) issuers: Vec<String>,
}

impl IntrospectGrant {
    /// The token as it came.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Whether the caller accepts tokens of `issuer`; `is_own`: of this server's.
    pub(crate) fn accepts_issuer(&self, issuer: &str, is_own: bool) -> bool {
        accepts_issuer(&self.client, &self.issuers, issuer, is_own)
    }

    /// Whether the caller may know of an access token for `audiences`, which was issued here to `client_id`. A caller that names
    /// audiences wants to know of those alone: it may be about to accept the token for one of them.
    pub(crate) fn shows(&self, audiences: &[String], client_id: Option<&str>) -> bool {
        let is_its_own = self.audiences.is_empty() && client_id == Some(self.client.client_id.as_str());
        is_its_own || audiences.iter().any(|audience| answers_for(&self.client, &self.audiences, audience))
    }

    /// Whether the caller may know of a refresh token of `client_id` for `audiences`: nobody else is ever to see it.
    pub(crate) fn owns(&self, client_id: &ClientId, audiences: &[String]) -> bool {
        *client_id == self.client.client_id
            && (self.audiences.is_empty() || self.audiences.iter().any(|named| audiences.contains(named)))
    }
}

/// Whether the client answers for `audience`: one of those that it `named`, or, if it named none, of its own.
fn answers_for(client: &Client, named: &[String], audience: &str) -> bool {
    if named.is_empty() {
        return own_audiences(client).any(|own| own.matches(audience));
    }
    named.iter().any(|named| named == audience)
}

/// Whether the client accepts tokens of `issuer`: one of those that it `named`, and this server's own or one that its permissions
/// allow.
fn accepts_issuer(client: &Client, named: &[String], issuer: &str, is_own: bool) -> bool {
    (named.is_empty() || named.iter().any(|named| named == issuer))
        && check::verified_issuer(client, issuer, is_own).is_allowed()
}

/// A bare `*` lets a client name any audience; it is nobody's own, and never means "any will do".
fn own_audiences(client: &Client) -> impl Iterator<Item = &Pattern> {
    client.settings.permissions.verify_audiences.iter().filter(|pattern| !pattern.is_any())
}

/// Leave to call one administrative method.
#[derive(Debug)]
pub(crate) struct AdminGrant {
    pub(super) client: Arc<Client>,
    pub(super) method: Method,
}

impl AdminGrant {
    /// Who administers, for the log.
    pub(crate) fn caller(&self) -> &str {
        self.caller_id().as_str()
    }

    /// Who administers.
    pub(crate) fn caller_id(&self) -> &ClientId {
        &self.client.client_id
    }

    /// The line that allows the method.
    pub(crate) fn policy(&self) -> String {
        words(&self.client, [check::method(&self.client, self.method)])
    }
}

/// What was allowed and by which line: `audiences[0] by permissions.audiences[2] "billing-*"`, and so on.
pub(super) fn words<'a>(client: &Client, checks: impl IntoIterator<Item = Check<'a>>) -> String {
    let mut words = String::new();
    let mut checks = checks.into_iter();
    for check in checks.by_ref().take(MOST_NAMED) {
        let separator = if words.is_empty() { "" } else { ", " };
        // Writing to memory cannot fail.
        let _ = match check.verdict {
            Verdict::Allowed(line) => write!(words, "{separator}{} by {}", check.place, line.of(client)),
            Verdict::Denied(_) => write!(words, "{separator}{} denied", check.place),
        };
    }
    match checks.count() {
        0 => words,
        more => format!("{words}, and {more} more"),
    }
}

//! Explains a policy: all checks of a request with the lines that decide them, and the result of the functions that authorize
//! the request itself. No grant leaves this file.

use std::sync::Arc;

use serde_json::Value;

use super::{
    DenialReason, IssueRules, Owner, PolicyError, PresentedToken, administer, check,
    decision::{Check, Verdict},
    exchange, login, policy, refresh, revoke,
    rule::Entitlement,
};
use crate::model::{
    Client, ExchangeRequest, ExtraClaims, IntrospectRequest, IssueRequest, LoginRequest, Method,
    RefreshRequest, RevokeTarget, Session, SessionId, SessionScope, TokenClaims, UnixTime, UserSettings,
    Username, VerifyRequest, foreign_prefix,
};

/// A request of a client, with what only the server could look up.
pub(crate) enum Question {
    /// Issue a token.
    Issue(IssueRequest),
    /// Verify a token, which may have another issuer.
    Verify(VerifyRequest, Option<String>),
    /// Introspect a token, which may have another issuer.
    Introspect(IntrospectRequest, Option<String>),
    /// Call a method, of ClientService with the id of the client to administer.
    Call(Method, Option<String>),
    /// Log in a user with these scopes.
    Login(LoginRequest, Vec<String>),
    /// Refresh a session.
    Refresh(RefreshRequest, AssumedSession),
    /// Revoke a token, a session, or everything of an owner.
    Revoke(RevokeTarget, AssumedOwner),
    /// Exchange a token.
    Exchange(Box<AssumedExchange>),
}

/// What policy checks of a session.
pub(crate) struct AssumedSession {
    pub(crate) scope: SessionScope,
    pub(crate) start: SessionStart,
}

/// How a session began.
pub(crate) enum SessionStart {
    /// By IssueToken, for this subject.
    Issue(String),
    /// By Login, of a user with these scopes.
    Login(Vec<String>),
}

/// The owner of the token or the session to revoke.
pub(crate) enum AssumedOwner {
    /// The target names the owner.
    InTarget,
    Known {
        /// `sub`
        subject: String,
        /// `client_id`
        client_id: String,
    },
    /// A token of another issuer has no owner here.
    OtherIssuer,
}

/// What policy checks of an exchange. The request may have placeholders for the tokens.
pub(crate) struct AssumedExchange {
    pub(crate) request: ExchangeRequest,
    pub(crate) subject: AssumedToken,
    pub(crate) actor: Option<AssumedToken>,
    /// This server's issuer.
    pub(crate) own_issuer: String,
}

/// What policy checks of a presented token.
pub(crate) struct AssumedToken {
    /// The issuer, if it is not this server.
    pub(crate) issuer: Option<String>,
    pub(crate) subject: String,
    /// The `subject_prefix` of another issuer, if it is not the default.
    pub(crate) subject_prefix: Option<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) may_act: Option<Value>,
}

/// The checks of a request, and the result.
pub(crate) struct Explanation {
    pub(crate) values: Vec<ExplainedValue>,
    pub(crate) outcome: Result<(), PolicyError>,
}

/// The check of one value.
pub(crate) struct ExplainedValue {
    /// `audiences[0]`
    pub(crate) place: String,
    /// The value, if it is a text.
    pub(crate) value: Option<String>,
    /// The reason of a denial.
    pub(crate) reason: DenialReason,
    pub(crate) is_allowed: bool,
    /// The line of the policy that decides, if there is one.
    pub(crate) line: Option<String>,
}

/// Explains whether `client` may make the request of `question`.
pub(crate) fn explain(client: &Arc<Client>, question: Question, rules: &IssueRules) -> Explanation {
    match question {
        Question::Issue(request) => Explanation {
            values: values(client, check::issue(client, policy::requested(client, &request), rules)),
            outcome: policy::issue(client, request, rules).map(drop),
        },
        Question::Verify(request, issuer) => {
            let method = [check::method(client, Method::VerifyToken)].into_iter();
            let issuer = issuer.as_deref().map(|issuer| check::verified_issuer(client, issuer, false));
            let checks = method.chain(check::verify(client, &request.audiences)).chain(issuer.clone());
            Explanation {
                values: values(client, checks),
                outcome: policy::verify(client, request).and_then(|_| Ok(policy::all(client, issuer)?)),
            }
        }
        Question::Introspect(request, issuer) => {
            let method = [check::method(client, Method::IntrospectToken)].into_iter();
            let issuer = issuer.as_deref().map(|issuer| check::verified_issuer(client, issuer, false));
            let checks = method.chain(check::introspect(client, &request.audiences)).chain(issuer.clone());
            Explanation {
                values: values(client, checks),
                outcome: policy::introspect(client, request)
                    .and_then(|_| policy::all(client, issuer))
                    .map_err(PolicyError::from),
            }
        }
        Question::Call(method, client_id) => {
            let client_id = client_id.as_deref();
            let outcome = administer::administer_clients(client, method, client_id);
            Explanation {
                values: values(client, administer::checks(client, method, client_id)),
                outcome: outcome.map(drop).map_err(PolicyError::from),
            }
        }
        Question::Login(request, user_scopes) => explain_login(client, request, &user_scopes, rules),
        Question::Refresh(request, session) => explain_refresh(client, request, session, rules),
        Question::Revoke(target, owner) => explain_revoke(client, target, &owner),
        Question::Exchange(assumed) => explain_exchange(client, *assumed, rules),
    }
}

fn explain_login(
    client: &Arc<Client>,
    request: LoginRequest,
    user_scopes: &[String],
    rules: &IssueRules,
) -> Explanation {
    let token = login::token(&request);
    let checks = check::login(client, request.username.as_str(), policy::requested(client, &token), rules)
        .chain(check::among(Entitlement::UserScopes, &request.scopes, user_scopes));
    Explanation {
        values: values(client, checks),
        outcome: login(client, request, rules).and_then(|grant| Ok(grant.allows(user_scopes)?)),
    }
}

fn explain_refresh(
    client: &Arc<Client>,
    request: RefreshRequest,
    assumed: AssumedSession,
    rules: &IssueRules,
) -> Explanation {
    let (subject, user) = match assumed.start {
        SessionStart::Issue(subject) => (subject, None),
        // No check depends on the subject.
        SessionStart::Login(scopes) => (String::new(), Some(user(scopes))),
    };
    let never = UnixTime::from_seconds(0);
    let session = Session {
        session_id: SessionId::from_bytes(&[0; 16]),
        client_id: client.client_id.clone(),
        subject,
        user_id: None,
        scope: assumed.scope,
        create_time: never,
        refresh_time: never,
        idle_expire_time: never,
        expire_time: never,
    };
    let user = user.as_ref();
    let checks = check::refresh(client, &request.audiences, &request.scopes)
        .chain(refresh::of_session(client, &request, &session, user));
    Explanation {
        values: values(client, checks),
        outcome: refresh(client, request, rules)
            .map_err(PolicyError::from)
            .and_then(|grant| grant.issue_for(&session, user).map(drop)),
    }
}

fn explain_revoke(client: &Arc<Client>, target: RevokeTarget, owner: &AssumedOwner) -> Explanation {
    const METHOD: Method = Method::RevokeToken;
    let owner_check = match owner {
        AssumedOwner::InTarget => None,
        AssumedOwner::Known { subject, client_id } => {
            Some(revoke::of_owner(client, METHOD, &target, known_owner(subject, client_id)))
        }
        AssumedOwner::OtherIssuer => Some(revoke::of_any_owner(client, METHOD, &target)),
    };
    let values = values(client, revoke::at_once(client, METHOD, &target).chain(owner_check));
    let outcome = revoke(client, METHOD, Some(target)).and_then(|grant| {
        let Some(grant) = grant else { return Ok(()) };
        match owner {
            AssumedOwner::InTarget => Ok(()),
            AssumedOwner::Known { subject, client_id } => {
                grant.allows(known_owner(subject, client_id)).map(drop)
            }
            AssumedOwner::OtherIssuer => grant.allows_any_owner().map(drop),
        }
    });
    Explanation { values, outcome: outcome.map_err(PolicyError::from) }
}

fn explain_exchange(client: &Arc<Client>, assumed: AssumedExchange, rules: &IssueRules) -> Explanation {
    let AssumedExchange { request, subject, actor, own_issuer } = assumed;
    let subject = subject.presented(&own_issuer);
    let actor = actor.map(|actor| actor.presented(&own_issuer));
    let actor = actor.as_ref();
    let checks = exchange::at_once(client, &request, rules).chain(exchange::tokens(
        client,
        &request,
        &subject,
        actor,
        &own_issuer,
    ));
    Explanation {
        values: values(client, checks),
        outcome: exchange(client, request, rules)
            .and_then(|grant| grant.issue_for(subject, actor, None, &own_issuer, rules).map(drop)),
    }
}

impl AssumedToken {
    fn presented(self, own_issuer: &str) -> PresentedToken {
        let other = self.issuer.as_deref().filter(|issuer| *issuer != own_issuer);
        let is_own = other.is_none();
        let prefix = other.map(|issuer| self.subject_prefix.unwrap_or_else(|| foreign_prefix(issuer)));
        PresentedToken {
            subject: prefix.unwrap_or_default() + &self.subject,
            claims: TokenClaims {
                issuer: self.issuer.unwrap_or_else(|| own_issuer.to_owned()),
                subject: self.subject,
                audiences: self.audiences,
                expire_time: UnixTime::MAX,
                not_before_time: None,
                issue_time: None,
                jwt_id: None,
                client_id: None,
                scopes: self.scopes,
                actor: None,
                session_id: None,
                origin_time: None,
            },
            may_act: self.may_act,
            extra: ExtraClaims::NONE,
            is_own,
        }
    }
}

const fn known_owner<'a>(subject: &'a str, client_id: &'a str) -> Owner<'a> {
    Owner { client_id: Some(client_id), subject }
}

fn user(scopes: Vec<String>) -> UserSettings {
    UserSettings { username: Username::default(), disabled: false, claims: ExtraClaims::NONE, scopes }
}

fn values<'a>(client: &Client, checks: impl IntoIterator<Item = Check<'a>>) -> Vec<ExplainedValue> {
    checks.into_iter().map(|check| explained(&check, client)).collect()
}

fn explained(check: &Check<'_>, client: &Client) -> ExplainedValue {
    let (is_allowed, rule) = match check.verdict {
        Verdict::Allowed(rule) => (true, Some(rule)),
        Verdict::Denied(rule) => (false, rule),
    };
    ExplainedValue {
        place: check.field.to_string(),
        value: check.value.map(str::to_owned),
        reason: check.reason,
        is_allowed,
        line: rule.map(|rule| rule.of(client).to_string()),
    }
}

//! What policy would say, for those who write it: the checks that a call meets, all of them and with their lines, and what
//! comes of the same functions that a call goes through. No grant leaves this file.

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

/// What a client might ask for. What a request names and only the server can look up is said here.
pub(crate) enum Question {
    /// A token.
    Issue(IssueRequest),
    /// Whether a token is good, which another issuer may have issued.
    Verify(VerifyRequest, Option<String>),
    /// The same, where "no" is an answer.
    Introspect(IntrospectRequest, Option<String>),
    /// A method, as a whole; of ClientService also for the client of this id.
    Call(Method, Option<String>),
    /// To log a user in who has these scopes.
    Login(LoginRequest, Vec<String>),
    /// To refresh this session.
    Refresh(RefreshRequest, PlannedSession),
    /// To revoke something.
    Revoke(RevokeTarget, Whose),
    /// To exchange a token.
    Exchange(Box<PlannedExchange>),
}

/// A session, as far as policy looks at it.
pub(crate) struct PlannedSession {
    /// What its tokens may hold.
    pub(crate) scope: SessionScope,
    /// How it was begun.
    pub(crate) begun: Begun,
}

/// How a session was begun.
pub(crate) enum Begun {
    /// By IssueToken, about this subject.
    Issued(String),
    /// By Login, of a user who has these scopes now.
    LoggedIn(Vec<String>),
}

/// Whose the token or the session is that is to be revoked.
pub(crate) enum Whose {
    /// The target says it.
    Said,
    /// It is about a subject, and a client had it issued.
    Owned {
        /// `sub`
        subject: String,
        /// `client_id`
        client_id: String,
    },
    /// Another issuer's: nobody's here.
    Foreign,
}

/// An exchange, as far as policy looks at it. The request need not hold the tokens.
pub(crate) struct PlannedExchange {
    /// What is asked for.
    pub(crate) request: ExchangeRequest,
    /// The subject token.
    pub(crate) subject: PlannedToken,
    /// The actor token, if there is one.
    pub(crate) actor: Option<PlannedToken>,
    /// Who this server is.
    pub(crate) own_issuer: String,
}

/// A token that is presented, as far as policy looks at it.
pub(crate) struct PlannedToken {
    /// Who issued it; none: this server.
    pub(crate) issuer: Option<String>,
    /// Whom it is about, as its issuer says.
    pub(crate) subject: String,
    /// The `subject_prefix` that is set for another issuer; none: the default one.
    pub(crate) subject_prefix: Option<String>,
    /// Whom it is for.
    pub(crate) audiences: Vec<String>,
    /// What it allows.
    pub(crate) scopes: Vec<String>,
    /// Who may act for its subject; none: it does not say.
    pub(crate) may_act: Option<Value>,
}

/// What policy says to it.
pub(crate) struct Explanation {
    /// Each value that is looked at.
    pub(crate) values: Vec<ExplainedValue>,
    /// What the call would come to.
    pub(crate) outcome: Result<(), PolicyError>,
}

/// What policy says about one value.
pub(crate) struct ExplainedValue {
    /// Where it stands: `audiences[0]`.
    pub(crate) place: String,
    /// The value, where it is a text.
    pub(crate) value: Option<String>,
    /// What it is for a denial.
    pub(crate) reason: DenialReason,
    /// Whether it is allowed.
    pub(crate) is_allowed: bool,
    /// The line that says so; none where no line allows it.
    pub(crate) line: Option<String>,
}

/// What policy says to `question`, were it asked by `client`.
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
        Question::Revoke(target, whose) => explain_revoke(client, target, &whose),
        Question::Exchange(planned) => explain_exchange(client, *planned, rules),
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
    planned: PlannedSession,
    rules: &IssueRules,
) -> Explanation {
    let (subject, user) = match planned.begun {
        Begun::Issued(subject) => (subject, None),
        // Nobody looks at whom it is about.
        Begun::LoggedIn(scopes) => (String::new(), Some(user(scopes))),
    };
    let never = UnixTime::from_seconds(0);
    let session = Session {
        session_id: SessionId::from_bytes(&[0; 16]),
        client_id: client.client_id.clone(),
        subject,
        user_id: None,
        scope: planned.scope,
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

fn explain_revoke(client: &Arc<Client>, target: RevokeTarget, whose: &Whose) -> Explanation {
    const METHOD: Method = Method::RevokeToken;
    let found = match whose {
        Whose::Said => None,
        Whose::Owned { subject, client_id } => {
            Some(revoke::of_owner(client, METHOD, &target, owner(subject, client_id)))
        }
        Whose::Foreign => Some(revoke::of_any_owner(client, METHOD, &target)),
    };
    let values = values(client, revoke::at_once(client, METHOD, &target).chain(found));
    let outcome = revoke(client, METHOD, Some(target)).and_then(|grant| {
        let Some(grant) = grant else { return Ok(()) };
        match whose {
            Whose::Said => Ok(()),
            Whose::Owned { subject, client_id } => grant.allows(owner(subject, client_id)).map(drop),
            Whose::Foreign => grant.allows_any_owner().map(drop),
        }
    });
    Explanation { values, outcome: outcome.map_err(PolicyError::from) }
}

fn explain_exchange(client: &Arc<Client>, planned: PlannedExchange, rules: &IssueRules) -> Explanation {
    let PlannedExchange { request, subject, actor, own_issuer } = planned;
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

impl PlannedToken {
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

const fn owner<'a>(subject: &'a str, client_id: &'a str) -> Owner<'a> {
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

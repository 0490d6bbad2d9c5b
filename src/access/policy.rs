//! Authorizes a request: returns a grant, or the first denial.
//!
//! The order of the checks is: method, audiences, scopes, subject, extra claims, lifetime, refresh token. An empty list allows nothing.

use std::sync::Arc;

use super::{
    AdminGrant, Denial, IntrospectGrant, IssueGrant, PolicyError, VerifyGrant,
    check::{self, RequestedToken},
    decision::{Check, Decisions},
};
use crate::model::{
    Algorithm, Client, IntrospectRequest, IssueRequest, Method, Pattern, Ttl, VerifyRequest, Violations,
};

/// Rules for all clients.
#[derive(Debug, Clone)]
pub struct IssueRules {
    /// The maximum lifetime of a token, for which keys are kept.
    pub max_ttl: Ttl,
    /// The signing algorithms by audience, for clients without an algorithm of their own. The first match applies.
    pub audience_algorithms: Vec<(Pattern, Algorithm)>,
}

impl IssueRules {
    /// The algorithm for `audiences`; `None` is the default one.
    pub(super) fn algorithm(&self, audiences: &[String]) -> Result<Option<Algorithm>, PolicyError> {
        let wanted = |audience: &String| {
            self.audience_algorithms.iter().find(|(pattern, _)| pattern.matches(audience)).map(|rule| rule.1)
        };
        let mut algorithms = audiences.iter().filter_map(wanted);
        let first = algorithms.next();
        if algorithms.any(|other| Some(other) != first) {
            let description = "must not name audiences whose tokens are signed with different algorithms";
            return Err(PolicyError::Incomplete(Violations::of("audiences", description)));
        }
        Ok(first)
    }
}

/// Permission to issue a token.
pub(crate) fn issue(
    client: &Arc<Client>,
    request: IssueRequest,
    rules: &IssueRules,
) -> Result<IssueGrant, PolicyError> {
    let ttl = request.ttl.unwrap_or_else(|| default_ttl(client, rules));
    let requested = RequestedToken { ttl: Some(ttl), ..requested(client, &request) };
    let decisions = Decisions::of(client, check::issue(client, requested, rules))?;
    Ok(IssueGrant { decisions, ..grant(client, Method::IssueToken, request, rules)? })
}

/// The grant for a request whose values are allowed.
pub(super) fn grant(
    client: &Arc<Client>,
    method: Method,
    request: IssueRequest,
    rules: &IssueRules,
) -> Result<IssueGrant, PolicyError> {
    let audiences = if request.audiences.is_empty() {
        client.settings.default_audiences.clone()
    } else {
        request.audiences
    };
    if audiences.is_empty() {
        let description = "must name at least one audience, for the client has no default";
        return Err(PolicyError::Incomplete(Violations::of("audiences", description)));
    }
    let algorithm = match client.settings.algorithm {
        Some(own) => Some(own),
        None => rules.algorithm(&audiences)?,
    };
    Ok(IssueGrant {
        subject: request.subject.unwrap_or_else(|| client.client_id.as_str().to_owned()),
        audiences,
        scopes: request.scopes,
        ttl: request.ttl.unwrap_or_else(|| default_ttl(client, rules)),
        not_before_time: request.not_before_time,
        claims: request.claims,
        token_type: client.settings.token_type,
        with_session: request.with_session,
        of_user: method == Method::Login,
        session_id: None,
        actor: None,
        not_after: None,
        origin_time: None,
        decisions: Decisions::default(),
        algorithm,
        client: Arc::clone(client),
        method,
    })
}

/// The lifetime of a token whose request names none.
fn default_ttl(client: &Client, rules: &IssueRules) -> Ttl {
    client.settings.effective_default_ttl().min(rules.max_ttl)
}

/// The requested token, with the client's default audiences.
pub(super) fn requested<'a>(client: &'a Client, request: &'a IssueRequest) -> RequestedToken<'a> {
    let audiences =
        if request.audiences.is_empty() { &client.settings.default_audiences } else { &request.audiences };
    RequestedToken {
        subject: request.subject.as_deref(),
        audiences,
        scopes: &request.scopes,
        claims: &request.claims,
        ttl: request.ttl,
        with_session: request.with_session,
    }
}

/// Permission to verify a token.
pub(crate) fn verify(client: &Arc<Client>, request: VerifyRequest) -> Result<VerifyGrant, PolicyError> {
    all(client, [check::method(client, Method::VerifyToken)])?;
    verify_one(client, request)
}

/// Permission to verify a batch. The returned function decides about each token.
pub(crate) fn batch_verify(
    client: &Arc<Client>,
) -> Result<impl Fn(VerifyRequest) -> Result<VerifyGrant, PolicyError> + '_, Denial> {
    all(client, [check::method(client, Method::BatchVerifyTokens)])?;
    Ok(move |request| verify_one(client, request))
}

/// Permission to verify one token of a stream.
pub(crate) fn stream_verify(
    client: &Arc<Client>,
    request: VerifyRequest,
) -> Result<VerifyGrant, PolicyError> {
    may_stream(client)?;
    verify_one(client, request)
}

/// Permission to open a stream of tokens to verify.
pub(crate) fn may_stream(client: &Client) -> Result<(), Denial> {
    all(client, [check::method(client, Method::StreamVerifyTokens)])
}

fn verify_one(client: &Arc<Client>, request: VerifyRequest) -> Result<VerifyGrant, PolicyError> {
    all(client, check::verify(client, &request.audiences))?;
    let grant = VerifyGrant {
        client: Arc::clone(client),
        token: request.token,
        audiences: request.audiences,
        required_scopes: request.required_scopes,
        issuers: request.issuers,
        leeway: request.leeway,
    };
    if grant.has_no_audience() {
        let description = "must name at least one audience, for the client has none of its own";
        return Err(PolicyError::Incomplete(Violations::of("audiences", description)));
    }
    Ok(grant)
}

/// Permission to introspect a token.
pub(crate) fn introspect(
    client: &Arc<Client>,
    request: IntrospectRequest,
) -> Result<IntrospectGrant, Denial> {
    all(client, [check::method(client, Method::IntrospectToken)])?;
    all(client, check::introspect(client, &request.audiences))?;
    Ok(IntrospectGrant {
        client: Arc::clone(client),
        token: request.token,
        audiences: request.audiences,
        issuers: request.issuers,
    })
}

/// Permission to call an administrative method.
pub(crate) fn administer(client: &Arc<Client>, method: Method) -> Result<AdminGrant, Denial> {
    all(client, [check::method(client, method)])?;
    Ok(AdminGrant { client: Arc::clone(client), method })
}

/// Returns the first denial, if there is one.
pub(super) fn all<'a>(client: &Client, checks: impl IntoIterator<Item = Check<'a>>) -> Result<(), Denial> {
    checks.into_iter().find_map(|check| Denial::of(&check, client)).map_or(Ok(()), Err)
}

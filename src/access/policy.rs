//! From a caller and a request to a grant, or to the first thing that is not allowed.
//!
//! Checks are made in this order: method, audiences, scopes, subject, extra claims, life. An empty list allows nothing.

use super::{AdminGrant, Audience, Caller, IssueGrant, VerifyGrant};
use crate::model::{Algorithm, IssueRequest, Method, Pattern, Ttl, VerifyRequest, Violations, any_match};

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
}

/// Policy says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the client's permissions do not allow {field}")]
pub struct Denial {
    /// What is not allowed.
    pub reason: DenialReason,
    /// The request's field, or the method's name.
    pub field: String,
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

/// What holds for every client.
#[derive(Debug, Clone)]
pub struct IssueRules {
    /// The longest life of a token, whatever a client's permissions say: keys are kept for as long as that.
    pub max_ttl: Ttl,
    /// What signs tokens for which audiences, if their client has no algorithm of its own; the first that matches.
    pub audience_algorithms: Vec<(Pattern, Algorithm)>,
}

impl IssueRules {
    /// What signs a token for `audiences`; none means the default.
    fn algorithm(&self, audiences: &[String]) -> Result<Option<Algorithm>, PolicyError> {
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

/// May `caller` have this token?
pub(crate) fn issue(
    caller: &Caller,
    request: IssueRequest,
    rules: &IssueRules,
) -> Result<IssueGrant, PolicyError> {
    allow(caller, Method::IssueToken)?;
    let client = caller.client();
    let permissions = &client.settings.permissions;

    let audiences = if request.audiences.is_empty() {
        client.settings.default_audiences.clone()
    } else {
        request.audiences
    };
    all_allowed(&audiences, &permissions.audiences, DenialReason::Audience, "audiences")?;
    all_allowed(&request.scopes, &permissions.scopes, DenialReason::Scope, "scopes")?;

    let own_id = client.client_id.as_str();
    let subject = request.subject.unwrap_or_else(|| own_id.to_owned());
    if subject != own_id && !any_match(&permissions.subjects, &subject) {
        return Err(denied(DenialReason::Subject, "subject").into());
    }
    if request.claims.names().any(|name| !any_match(&permissions.claims, name)) {
        return Err(denied(DenialReason::Claim, "claims").into());
    }
    let max_ttl = permissions.max_ttl.min(rules.max_ttl);
    if request.ttl.is_some_and(|ttl| ttl > max_ttl) {
        return Err(denied(DenialReason::Ttl, "ttl").into());
    }
    if audiences.is_empty() {
        let description = "must name at least one audience, for the client has no default";
        return Err(PolicyError::Incomplete(Violations::of("audiences", description)));
    }
    let algorithm = match client.settings.algorithm {
        Some(own) => Some(own),
        None => rules.algorithm(&audiences)?,
    };
    Ok(IssueGrant {
        client_id: client.client_id.clone(),
        subject,
        audiences,
        scopes: request.scopes,
        ttl: request.ttl.unwrap_or_else(|| client.settings.effective_default_ttl().min(max_ttl)),
        not_before_time: request.not_before_time,
        claims: request.claims,
        token_type: client.settings.token_type,
        algorithm,
    })
}

/// May `caller` see whether this token is good?
pub(crate) fn verify(caller: &Caller, request: VerifyRequest) -> Result<VerifyGrant, PolicyError> {
    allow(caller, Method::VerifyToken)?;
    verify_for(caller, request)
}

/// May `caller` verify a batch? Leave for each item is asked with the function that this answers.
pub(crate) fn batch_verify(
    caller: &Caller,
) -> Result<impl Fn(VerifyRequest) -> Result<VerifyGrant, PolicyError> + '_, Denial> {
    allow(caller, Method::BatchVerifyTokens)?;
    Ok(move |request| verify_for(caller, request))
}

fn verify_for(caller: &Caller, request: VerifyRequest) -> Result<VerifyGrant, PolicyError> {
    let allowed = &caller.client().settings.permissions.verify_audiences;
    all_allowed(&request.audiences, allowed, DenialReason::Audience, "audiences")?;
    let audiences: Vec<Audience> = if request.audiences.is_empty() {
        // A bare `*` lets a client name any audience; it is nobody's own, and never means "any will do".
        allowed.iter().filter(|pattern| !pattern.is_any()).cloned().map(Audience::Own).collect()
    } else {
        request.audiences.into_iter().map(Audience::Named).collect()
    };
    if audiences.is_empty() {
        if allowed.is_empty() {
            return Err(denied(DenialReason::Audience, "audiences").into());
        }
        let description = "must name at least one audience, for the client has none of its own";
        return Err(PolicyError::Incomplete(Violations::of("audiences", description)));
    }
    Ok(VerifyGrant {
        token: request.token,
        audiences,
        required_scopes: request.required_scopes,
        leeway: request.leeway,
    })
}

/// May `caller` call an administrative method?
pub(crate) fn administer(caller: &Caller, method: Method) -> Result<AdminGrant, Denial> {
    allow(caller, method)?;
    Ok(AdminGrant { caller: caller.client().client_id.as_str().into() })
}

fn allow(caller: &Caller, method: Method) -> Result<(), Denial> {
    if any_match(&caller.client().settings.permissions.methods, method.name()) {
        Ok(())
    } else {
        Err(denied(DenialReason::Method, method.name()))
    }
}

fn all_allowed(
    values: &[String],
    allowed: &[Pattern],
    reason: DenialReason,
    field: &str,
) -> Result<(), Denial> {
    match values.iter().position(|value| !any_match(allowed, value)) {
        Some(index) => Err(denied(reason, format!("{field}[{index}]"))),
        None => Ok(()),
    }
}

fn denied(reason: DenialReason, field: impl Into<String>) -> Denial {
    Denial { reason, field: field.into() }
}

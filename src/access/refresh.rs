//! May this client use a refresh token, and what may an access token of the session hold now?
//!
//! A session never gets more than it was begun with, and no token gets more than the client, and the user if one logged in,
//! may have at that moment. What is asked for by name must be allowed; what is not asked for by name is what of the session's is
//! allowed still.

use std::sync::Arc;

use super::{Caller, Denial, DenialReason, IssueGrant, IssueRules, PolicyError, check, policy};
use crate::model::{Client, ClientId, IssueRequest, Method, RefreshRequest, RequestDigest, Session, User};

/// A refresh token that may be tried.
pub(crate) struct RefreshGrant<'a> {
    client: Arc<Client>,
    request: RefreshRequest,
    rules: &'a IssueRules,
}

impl RefreshGrant<'_> {
    /// Who tries it.
    pub(crate) fn client_id(&self) -> &ClientId {
        &self.client.client_id
    }

    /// Who tries it, as it is now.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The refresh token as it came.
    pub(crate) fn refresh_token(&self) -> &str {
        &self.request.refresh_token
    }

    /// What the request is known by, if it names itself.
    pub(crate) fn request(&self) -> Option<RequestDigest> {
        let RefreshRequest { request_id, audiences, scopes, .. } = &self.request;
        (!request_id.is_empty()).then(|| RequestDigest::of(request_id, audiences, scopes))
    }

    /// Leave for an access token of the session. `user` is the one who logged in, as of now; none if nobody did.
    pub(crate) fn issue_for(
        &self,
        session: &Session,
        user: Option<&User>,
    ) -> Result<IssueGrant, PolicyError> {
        let client = &self.client;
        let claims = match user {
            Some(user) => user.settings.claims.filtered(|name, json| check::allows_claim(client, name, json)),
            None => session.scope.claims.clone(),
        };
        let token = IssueRequest {
            subject: Some(session.subject.clone()),
            audiences: self.audiences(session)?,
            scopes: self.scopes(session, user)?,
            ttl: session
                .scope
                .ttl
                .map(|ttl| ttl.min(client.settings.permissions.max_ttl).min(self.rules.max_ttl)),
            claims,
            ..IssueRequest::default()
        };
        if user.is_none() {
            // A claim that was asked for is never left out: the token might say more without it.
            policy::all(client, check::token(client, policy::asked(client, &token), self.rules))?;
        }
        Ok(IssueGrant {
            of_user: user.is_some(),
            session_id: Some(session.session_id.clone()),
            not_after: Some(session.expire_time),
            // What ends the session ends what comes of it, however late that was issued.
            origin_time: Some(session.create_time),
            ..policy::grant(client, Method::RefreshToken, token, self.rules)?
        })
    }

    fn audiences(&self, session: &Session) -> Result<Vec<String>, Denial> {
        let (asked, has) = (&self.request.audiences, &session.scope.audiences);
        if !asked.is_empty() {
            return narrowed(asked, has, DenialReason::SessionAudience, "audiences");
        }
        let left: Vec<_> =
            has.iter().filter(|audience| check::allows_audience(&self.client, audience)).cloned().collect();
        if left.is_empty() {
            // Not even one: it must not become a token for the client's default audiences.
            return Err(denial(DenialReason::Audience, "audiences".to_owned()));
        }
        Ok(left)
    }

    fn scopes(&self, session: &Session, user: Option<&User>) -> Result<Vec<String>, Denial> {
        let (asked, has) = (&self.request.scopes, &session.scope.scopes);
        let of_user = |scope: &String| user.is_none_or(|user| user.settings.scopes.contains(scope));
        if !asked.is_empty() {
            if let Some(index) = asked.iter().position(|scope| !of_user(scope)) {
                return Err(denial(DenialReason::UserScope, format!("scopes[{index}]")));
            }
            return narrowed(asked, has, DenialReason::SessionScope, "scopes");
        }
        let allowed = |scope: &&String| check::allows_scope(&self.client, scope) && of_user(scope);
        Ok(has.iter().filter(allowed).cloned().collect())
    }
}

/// May `caller` try this refresh token?
pub(crate) fn refresh<'a>(
    caller: &Caller,
    request: RefreshRequest,
    rules: &'a IssueRules,
) -> Result<RefreshGrant<'a>, Denial> {
    let client = caller.shared_client();
    policy::all(client, check::refresh(client, &request.audiences, &request.scopes))?;
    Ok(RefreshGrant { client: Arc::clone(client), request, rules })
}

/// What is asked for, if the session has all of it.
fn narrowed(
    asked: &[String],
    has: &[String],
    reason: DenialReason,
    field: &str,
) -> Result<Vec<String>, Denial> {
    match asked.iter().position(|value| !has.contains(value)) {
        Some(index) => Err(denial(reason, format!("{field}[{index}]"))),
        None => Ok(asked.to_vec()),
    }
}

const fn denial(reason: DenialReason, field: String) -> Denial {
    Denial { reason, field, line: None }
}

//! Authorizes a refresh, and the new access token of the session.
//!
//! A token never exceeds its session, its client's permissions and its user's scopes. A requested value must be allowed; without a
//! request, the token gets the values of the session that are still allowed.

use std::sync::Arc;

use super::{
    Denial, IssueGrant, IssueRules, PolicyError,
    check::{self, values},
    decision::Check,
    policy,
    rule::Entitlement,
};
use crate::model::{
    Client, ClientId, IssueRequest, Method, RefreshRequest, RequestDigest, Session, UserSettings,
};

/// Permission to try a refresh token.
pub(crate) struct RefreshGrant<'a> {
    client: Arc<Client>,
    request: RefreshRequest,
    rules: &'a IssueRules,
}

impl RefreshGrant<'_> {
    /// The client's id.
    pub(crate) fn client_id(&self) -> &ClientId {
        &self.client.client_id
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn refresh_token(&self) -> &str {
        &self.request.refresh_token
    }

    /// The digest of the request, if it has a `request_id`.
    pub(crate) fn request(&self) -> Option<RequestDigest> {
        let RefreshRequest { request_id, audiences, scopes, .. } = &self.request;
        (!request_id.is_empty()).then(|| RequestDigest::of(request_id, audiences, scopes))
    }

    /// Permission to issue an access token of the session. `user` is the current user of a session that Login began.
    pub(crate) fn issue_for(
        &self,
        session: &Session,
        user: Option<&UserSettings>,
    ) -> Result<IssueGrant, PolicyError> {
        let (client, request) = (&self.client, &self.request);
        policy::all(client, of_session(client, request, session, user))?;
        let claims = match user {
            Some(user) => user.claims.filtered(|name, json| check::allows_claim(client, name, json)),
            None => session.scope.claims.clone(),
        };
        let token = IssueRequest {
            subject: Some(session.subject.clone()),
            audiences: match request.audiences.is_empty() {
                true => values(check::default_audiences(client, &session.scope.audiences)),
                false => request.audiences.clone(),
            },
            scopes: match request.scopes.is_empty() {
                true => values(default_scopes(client, session, user)),
                false => request.scopes.clone(),
            },
            ttl: session
                .scope
                .ttl
                .map(|ttl| ttl.min(client.settings.permissions.max_ttl).min(self.rules.max_ttl)),
            claims,
            ..IssueRequest::default()
        };
        Ok(IssueGrant {
            of_user: user.is_some(),
            session_id: Some(session.session_id.clone()),
            not_after: Some(session.expire_time),
            // A revocation of the session by time also revokes its later tokens.
            origin_time: Some(session.create_time),
            ..policy::grant(client, Method::RefreshToken, token, self.rules)?
        })
    }
}

/// Permission to try a refresh token.
pub(crate) fn refresh<'a>(
    client: &Arc<Client>,
    request: RefreshRequest,
    rules: &'a IssueRules,
) -> Result<RefreshGrant<'a>, Denial> {
    policy::all(client, check::refresh(client, &request.audiences, &request.scopes))?;
    Ok(RefreshGrant { client: Arc::clone(client), request, rules })
}

/// The checks after the session is known. `user` is the user of a session that Login began.
pub(super) fn of_session<'a>(
    client: &'a Client,
    request: &'a RefreshRequest,
    session: &'a Session,
    user: Option<&'a UserSettings>,
) -> impl Iterator<Item = Check<'a>> {
    let scope = &session.scope;
    let (no_audience, no_scope) = (request.audiences.is_empty(), request.scopes.is_empty());
    check::among(Entitlement::SessionAudiences, &request.audiences, &scope.audiences)
        .chain(no_audience.then(|| check::default_audiences(client, &scope.audiences)).into_iter().flatten())
        .chain(
            user.into_iter()
                .flat_map(|user| check::among(Entitlement::UserScopes, &request.scopes, &user.scopes)),
        )
        .chain(check::among(Entitlement::SessionScopes, &request.scopes, &scope.scopes))
        .chain(no_scope.then(|| default_scopes(client, session, user)).into_iter().flatten())
        // A requested claim is never omitted: the token might allow more without it.
        .chain(
            user.is_none()
                .then(|| check::subject_and_claims(client, &session.subject, &scope.claims))
                .into_iter()
                .flatten(),
        )
}

/// The scopes of the session that its client, and its user, may have.
fn default_scopes<'a>(
    client: &'a Client,
    session: &'a Session,
    user: Option<&'a UserSettings>,
) -> impl Iterator<Item = Check<'a>> {
    let has = move |scope: &str| user.is_none_or(|user| user.scopes.iter().any(|own| own == scope));
    check::default_scopes(client, &session.scope.scopes).filter(move |check| check.value.is_some_and(has))
}

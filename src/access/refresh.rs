//! May this client use a refresh token, and what may an access token of the session hold now?
//!
//! A session never gets more than it was begun with, and no token gets more than the client, and the user if one logged in,
//! may have at that moment. What is asked for by name must be allowed; what is not asked for by name is what of the session's is
//! allowed still.

use std::sync::Arc;

use super::{
    Denial, IssueGrant, IssueRules, PolicyError,
    check::{self, Check, values},
    line::Held,
    policy,
};
use crate::model::{
    Client, ClientId, IssueRequest, Method, RefreshRequest, RequestDigest, Session, UserSettings,
};

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
                true => values(check::left_audiences(client, &session.scope.audiences)),
                false => request.audiences.clone(),
            },
            scopes: match request.scopes.is_empty() {
                true => values(left_scopes(client, session, user)),
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
            // What ends the session ends what comes of it, however late that was issued.
            origin_time: Some(session.create_time),
            ..policy::grant(client, Method::RefreshToken, token, self.rules)?
        })
    }
}

/// Permission to try this refresh token.
pub(crate) fn refresh<'a>(
    client: &Arc<Client>,
    request: RefreshRequest,
    rules: &'a IssueRules,
) -> Result<RefreshGrant<'a>, Denial> {
    policy::all(client, check::refresh(client, &request.audiences, &request.scopes))?;
    Ok(RefreshGrant { client: Arc::clone(client), request, rules })
}

/// All that is looked at when the session is known. `user` is the one who logged in, if one did.
pub(super) fn of_session<'a>(
    client: &'a Client,
    request: &'a RefreshRequest,
    session: &'a Session,
    user: Option<&'a UserSettings>,
) -> impl Iterator<Item = Check<'a>> {
    let scope = &session.scope;
    let (no_audience, no_scope) = (request.audiences.is_empty(), request.scopes.is_empty());
    check::among(Held::SessionAudiences, &request.audiences, &scope.audiences)
        .chain(no_audience.then(|| check::left_audiences(client, &scope.audiences)).into_iter().flatten())
        .chain(
            user.into_iter().flat_map(|user| check::among(Held::UserScopes, &request.scopes, &user.scopes)),
        )
        .chain(check::among(Held::SessionScopes, &request.scopes, &scope.scopes))
        .chain(no_scope.then(|| left_scopes(client, session, user)).into_iter().flatten())
        // A claim that was asked for is never left out: the token might say more without it.
        .chain(
            user.is_none()
                .then(|| check::about(client, &session.subject, &scope.claims))
                .into_iter()
                .flatten(),
        )
}

/// Of the session's scopes, those that the client may have, and the user if one logged in.
fn left_scopes<'a>(
    client: &'a Client,
    session: &'a Session,
    user: Option<&'a UserSettings>,
) -> impl Iterator<Item = Check<'a>> {
    let has = move |scope: &str| user.is_none_or(|user| user.scopes.iter().any(|held| held == scope));
    check::left_scopes(client, &session.scope.scopes).filter(move |check| check.value.is_some_and(has))
}

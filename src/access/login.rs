//! Authorizes a login, and the token of the user.
//!
//! The order of the checks is: method, username, audiences, scopes, lifetime, refresh token; after the password matched, the user's
//! scopes. User claims that the client's permissions do not allow are omitted, because the client did not request them.

use std::sync::Arc;

use super::{
    Denial, IssueGrant, IssueRules, PolicyError, check,
    policy::{all, grant, requested},
    rule::Entitlement,
};
use crate::model::{Client, IssueRequest, LoginRequest, Method, Password, User, Username};

/// Permission to try a login.
pub(crate) struct LoginGrant {
    username: Username,
    password: Password,
    /// The token without its user.
    token: IssueGrant,
}

impl LoginGrant {
    pub(crate) const fn username(&self) -> &Username {
        &self.username
    }

    pub(crate) const fn password(&self) -> &Password {
        &self.password
    }

    /// Permission to issue the token, after the password matched.
    pub(crate) fn issue_for(&self, user: &User) -> Result<IssueGrant, Denial> {
        self.allows(&user.settings.scopes)?;
        let client = Arc::clone(&self.token.client);
        let claims = user.settings.claims.filtered(|name, json| check::allows_claim(&client, name, json));
        Ok(IssueGrant { subject: user.user_id.as_str().to_owned(), claims, ..self.token.clone() })
    }

    /// Checks the requested scopes against the user's.
    pub(super) fn allows(&self, user_scopes: &[String]) -> Result<(), Denial> {
        all(&self.token.client, check::among(Entitlement::UserScopes, &self.token.scopes, user_scopes))
    }
}

/// Permission to try a login.
pub(crate) fn login(
    client: &Arc<Client>,
    request: LoginRequest,
    rules: &IssueRules,
) -> Result<LoginGrant, PolicyError> {
    let token = token(&request);
    let LoginRequest { username, password, .. } = request;
    all(client, check::login(client, username.as_str(), requested(client, &token), rules))?;
    Ok(LoginGrant { username, password, token: grant(client, Method::Login, token, rules)? })
}

/// The token that a login requests, without its user.
pub(super) fn token(request: &LoginRequest) -> IssueRequest {
    IssueRequest {
        audiences: request.audiences.clone(),
        scopes: request.scopes.clone(),
        ttl: request.ttl,
        with_session: request.with_session,
        ..IssueRequest::default()
    }
}

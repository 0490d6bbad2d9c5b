//! May this client have this person logged in, and what may the token hold?
//!
//! Checks are made in this order: method, name, audiences, scopes, life, refresh token; and when the password was right, the user's own
//! scopes. Claims of the user that the client's permissions do not allow are left out: they belong to the user, and the
//! client did not ask for them.

use std::sync::Arc;

use super::{
    Denial, IssueGrant, IssueRules, PolicyError, check,
    line::Held,
    policy::{all, asked, grant},
};
use crate::model::{Client, IssueRequest, LoginRequest, Method, Password, User, Username};

/// A login that may be tried.
pub(crate) struct LoginGrant {
    username: Username,
    password: Password,
    /// The token, as yet without a user in it.
    token: IssueGrant,
}

impl LoginGrant {
    /// Who it is said to be.
    pub(crate) const fn username(&self) -> &Username {
        &self.username
    }

    /// What is to prove it.
    pub(crate) const fn password(&self) -> &Password {
        &self.password
    }

    /// Leave for the token of the user, who has proved to be that.
    pub(crate) fn issue_for(&self, user: &User) -> Result<IssueGrant, Denial> {
        self.allows(&user.settings.scopes)?;
        let client = Arc::clone(&self.token.client);
        let claims = user.settings.claims.filtered(|name, json| check::allows_claim(&client, name, json));
        Ok(IssueGrant { subject: user.user_id.as_str().to_owned(), claims, ..self.token.clone() })
    }

    /// Whether a user who has these scopes may have what is asked for.
    pub(super) fn allows(&self, user_scopes: &[String]) -> Result<(), Denial> {
        all(&self.token.client, check::among(Held::UserScopes, &self.token.scopes, user_scopes))
    }
}

/// Permission to try this login.
pub(crate) fn login(
    client: &Arc<Client>,
    request: LoginRequest,
    rules: &IssueRules,
) -> Result<LoginGrant, PolicyError> {
    let token = token(&request);
    let LoginRequest { username, password, .. } = request;
    all(client, check::login(client, username.as_str(), asked(client, &token), rules))?;
    Ok(LoginGrant { username, password, token: grant(client, Method::Login, token, rules)? })
}

/// The token that a login asks for, as yet without a user in it.
pub(super) fn token(request: &LoginRequest) -> IssueRequest {
    IssueRequest {
        audiences: request.audiences.clone(),
        scopes: request.scopes.clone(),
        ttl: request.ttl,
        with_session: request.with_session,
        ..IssueRequest::default()
    }
}

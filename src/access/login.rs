//! May this client have this person logged in, and what may the token hold?
//!
//! Checks are made in this order: method, name, audiences, scopes, life, refresh token; and when the password was right, the user's own
//! scopes. Claims of the user that the client's permissions do not allow are left out: they belong to the user, and the
//! client did not ask for them.

use std::sync::Arc;

use super::{
    Caller, Denial, DenialReason, IssueGrant, IssueRules, PolicyError, check,
    policy::{all, asked, grant},
};
use crate::model::{IssueRequest, LoginRequest, Method, Password, User, Username};

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
        let has = |scope: &String| user.settings.scopes.contains(scope);
        if let Some(index) = self.token.scopes.iter().position(|scope| !has(scope)) {
            let field = format!("scopes[{index}]");
            return Err(Denial { reason: DenialReason::UserScope, field, line: None });
        }
        let client = Arc::clone(&self.token.client);
        let claims = user.settings.claims.filtered(|name, json| check::allows_claim(&client, name, json));
        Ok(IssueGrant { subject: user.user_id.as_str().to_owned(), claims, ..self.token.clone() })
    }
}

/// May `caller` try this login?
pub(crate) fn login(
    caller: &Caller,
    request: LoginRequest,
    rules: &IssueRules,
) -> Result<LoginGrant, PolicyError> {
    let client = caller.shared_client();
    let LoginRequest { username, password, audiences, scopes, ttl, with_session } = request;
    let token = IssueRequest { audiences, scopes, ttl, with_session, ..IssueRequest::default() };
    let checks = check::login(client, username.as_str());
    all(client, checks.chain(check::user_token(client, asked(client, &token), rules)))?;
    Ok(LoginGrant { username, password, token: grant(client, Method::Login, token, rules)? })
}

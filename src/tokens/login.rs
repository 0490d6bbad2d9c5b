//! Logging people in. An unknown name, a wrong password and a disabled user are one answer after the same work.

use std::{net::IpAddr, sync::Arc};

use super::{BegunSession, FreshRefreshToken, IssueError, IssuedToken, Issuer, SessionError, Sessions};
use crate::{
    access::{
        Compared, Denial, HashError, IssueGrant, LoginGrant, LoginLimits, PasswordHasher, TooManyFailures,
    },
    model::{Password, UserId, UserRecord},
    store::{Store, StoreError},
};

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// Nobody of that name has that password and may log in. That is all that the caller is told; the log may know more.
    #[error(transparent)]
    Failed(FailedLogin),
    /// Too many have failed.
    #[error(transparent)]
    Limited(#[from] TooManyFailures),
    /// The user may not have what was asked for.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password could not be compared, or too many wait for that.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// No token could be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// No session could be begun.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// What failed, for the log. It does not hold the name: one that is unknown may be a password.
#[derive(Debug, thiserror::Error)]
#[error("the login failed: {why}{}", user_id.as_ref().map(|user_id| format!(", user {user_id}")).unwrap_or_default())]
pub(crate) struct FailedLogin {
    /// Whose name it was, if anybody's.
    pub(crate) user_id: Option<UserId>,
    why: &'static str,
}

/// Who was logged in, with what.
pub(crate) struct LoggedIn {
    /// The token.
    pub(crate) token: IssuedToken,
    /// What was allowed.
    pub(crate) grant: IssueGrant,
    /// The refresh token, if a session was begun.
    pub(crate) refresh: Option<FreshRefreshToken>,
}

/// Logs people in.
#[derive(Debug)]
pub struct Logins {
    store: Arc<dyn Store>,
    hasher: Arc<PasswordHasher>,
    limits: LoginLimits,
    issuer: Arc<Issuer>,
    sessions: Arc<Sessions>,
}

impl Logins {
    /// Logs in the users of `store`, within `limits`.
    pub fn new(
        store: Arc<dyn Store>,
        hasher: Arc<PasswordHasher>,
        limits: LoginLimits,
        issuer: Arc<Issuer>,
        sessions: Arc<Sessions>,
    ) -> Self {
        Self { store, hasher, limits, issuer, sessions }
    }

    /// Compares the password, and issues the token that `grant` allows. `source` is where the call came from.
    pub(crate) async fn login(
        &self,
        grant: LoginGrant,
        source: Option<IpAddr>,
    ) -> Result<LoggedIn, LoginError> {
        let attempt = self.limits.begin(grant.username(), source)?;
        let found = match self.store.user_by_name(grant.username()).await {
            Ok(record) => Some(record),
            Err(StoreError::NotFound) => None,
            Err(error) => {
                attempt.came_to_nothing();
                return Err(error.into());
            }
        };
        let hash = found.as_ref().map(|record| record.password.clone());
        let compared = match self.hasher.compare(grant.password().clone(), hash).await {
            Ok(compared) => compared,
            Err(error) => {
                attempt.came_to_nothing();
                return Err(error.into());
            }
        };
        let (record, compared) = match (found, compared) {
            (Some(record), Compared::Same | Compared::SameAndOutdated) if !record.user.settings.disabled => {
                (record, compared)
            }
            (found, compared) => {
                let why = match (&found, compared) {
                    (None, _) => "unknown user",
                    (Some(_), Compared::Different) => "wrong password",
                    (Some(_), _) => "disabled user",
                };
                let failed = FailedLogin { user_id: found.map(|record| record.user.user_id), why };
                return Err(attempt.failed().map_or(LoginError::Failed(failed), Into::into));
            }
        };
        attempt.succeeded();
        if compared == Compared::SameAndOutdated {
            self.renew(&record, grant.password().clone()).await;
        }
        let grant = grant.issue_for(&record.user)?;
        if grant.with_session() {
            let begun = self.sessions.begin(grant, Some(record.user.user_id)).await?;
            let BegunSession { grant, token, refresh } = begun;
            return Ok(LoggedIn { token, grant, refresh: Some(refresh) });
        }
        let token = self.issuer.issue(&grant)?;
        Ok(LoggedIn { token, grant, refresh: None })
    }

    /// Makes the hash of a password anew, with what it should cost. The login does not depend on it: the next one tries again.
    async fn renew(&self, record: &UserRecord, password: Password) {
        let user_id = &record.user.user_id;
        let renewed = match self.hasher.hash(password).await {
            Ok(hash) => self.store.rehash_user_password(user_id, &record.password, &hash).await,
            Err(error) => {
                tracing::warn!(%user_id, %error, "password hash not renewed");
                return;
            }
        };
        match renewed {
            Ok(true) => tracing::info!(%user_id, "password hash renewed"),
            // Another login, or a new password, came first.
            Ok(false) => {}
            Err(error) => tracing::warn!(%user_id, %error, "password hash not renewed"),
        }
    }
}

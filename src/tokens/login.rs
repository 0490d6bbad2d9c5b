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
    Failed(#[from] FailedLogin),
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

/// How often a session is begun anew because the password's hash changed meanwhile. Whoever proves the password again has what
/// is kept by then.
const TRIES: u32 = 3;

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
        let mut attempt = self.limits.begin(grant.username(), source)?;
        let found = self.find(&grant).await?;
        attempt.compares();
        let record = match self.prove(&grant, found).await {
            Ok(record) => record,
            Err(LoginError::Failed(failed)) => {
                return Err(attempt.failed().map_or(LoginError::Failed(failed), Into::into));
            }
            Err(error) => {
                attempt.came_to_nothing();
                return Err(error);
            }
        };
        attempt.succeeded();
        let issue = grant.issue_for(&record.user)?;
        if !issue.with_session() {
            let token = self.issuer.issue(&issue)?;
            return Ok(LoggedIn { token, grant: issue, refresh: None });
        }
        let mut begun = self.begin(issue, &record).await?;
        for _ in 1..TRIES {
            if begun.is_some() {
                break;
            }
            // Meanwhile another password was set, or the hash was made anew: the session must be one by what is kept now.
            let record = self.prove(&grant, self.find(&grant).await?).await?;
            begun = self.begin(grant.issue_for(&record.user)?, &record).await?;
        }
        let BegunSession { grant, token, refresh } = begun.ok_or(SessionError::Contended)?;
        Ok(LoggedIn { token, grant, refresh: Some(refresh) })
    }

    /// The user who has that name, if there is one.
    async fn find(&self, grant: &LoginGrant) -> Result<Option<UserRecord>, StoreError> {
        match self.store.user_by_name(grant.username()).await {
            Ok(record) => Ok(Some(record)),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The user who was found, if the password is that user's and the user may log in, with the hash that is kept of the password.
    async fn prove(&self, grant: &LoginGrant, found: Option<UserRecord>) -> Result<UserRecord, LoginError> {
        let hash = found.as_ref().map(|record| record.password.clone());
        let compared = self.hasher.compare(grant.password().clone(), hash).await?;
        match (found, compared) {
            (Some(record), Compared::Same) if !record.user.settings.disabled => Ok(record),
            (Some(record), Compared::SameAndOutdated) if !record.user.settings.disabled => {
                Ok(self.renew(record, grant.password().clone()).await)
            }
            (found, compared) => {
                let why = match (&found, compared) {
                    (None, _) => "unknown user",
                    (Some(_), Compared::Different) => "wrong password",
                    (Some(_), _) => "disabled user",
                };
                Err(FailedLogin { user_id: found.map(|record| record.user.user_id), why }.into())
            }
        }
    }

    async fn begin(
        &self,
        grant: IssueGrant,
        record: &UserRecord,
    ) -> Result<Option<BegunSession>, SessionError> {
        self.sessions.begin_for_user(grant, &record.user.user_id, &record.password).await
    }

    /// Makes the hash of a password anew, with what it should cost. The login does not depend on it: the next one tries again.
    /// Answers the user with the hash that is kept now, as far as is known here.
    async fn renew(&self, record: UserRecord, password: Password) -> UserRecord {
        let user_id = &record.user.user_id;
        let hash = match self.hasher.hash_anew(password).await {
            Ok(hash) => hash,
            Err(error) => {
                tracing::warn!(%user_id, %error, "password hash not renewed");
                return record;
            }
        };
        match self.store.rehash_user_password(user_id, &record.password, &hash).await {
            Ok(true) => {
                tracing::info!(%user_id, "password hash renewed");
                UserRecord { password: hash, ..record }
            }
            // Another login, or a new password, came first.
            Ok(false) => record,
            Err(error) => {
                tracing::warn!(%user_id, %error, "password hash not renewed");
                record
            }
        }
    }
}

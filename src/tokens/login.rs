//! User logins. An unknown user, a wrong password and a disabled user have one response after the same work.

use std::{net::IpAddr, sync::Arc};

use super::{BegunSession, FreshRefreshToken, IssueError, IssuedToken, Issuer, SessionError, Sessions};
use crate::{
    access::{
        Denial, HashError, IssueGrant, LoginGrant, LoginLimits, PasswordHasher, PasswordMatch,
        TooManyFailures,
    },
    model::{Password, UserId, UserRecord},
    store::{Store, StoreError},
};

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// The username or the password is wrong, or the user is disabled. The caller learns no more; the log has the reason.
    #[error(transparent)]
    Failed(#[from] FailedLogin),
    #[error(transparent)]
    Limited(#[from] TooManyFailures),
    #[error(transparent)]
    Denied(#[from] Denial),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// The reason of a failed login, for the log. Does not contain the username, because an unknown one may be a password.
#[derive(Debug, thiserror::Error)]
#[error("the login failed: {reason}{}", user_id.as_ref().map(|user_id| format!(", user {user_id}")).unwrap_or_default())]
pub(crate) struct FailedLogin {
    /// The user, if it exists.
    pub(crate) user_id: Option<UserId>,
    reason: &'static str,
}

/// A successful login.
pub(crate) struct LoggedIn {
    pub(crate) token: IssuedToken,
    /// The grant of the token.
    pub(crate) grant: IssueGrant,
    /// The refresh token, if a session was begun.
    pub(crate) refresh: Option<FreshRefreshToken>,
}

/// The most attempts to begin a session when the password hash changes meanwhile.
const MAX_ATTEMPTS: u32 = 3;

/// Logs users in.
#[derive(Debug)]
pub struct Logins {
    store: Arc<Store>,
    hasher: Arc<PasswordHasher>,
    limits: LoginLimits,
    issuer: Arc<Issuer>,
    sessions: Arc<Sessions>,
}

impl Logins {
    /// Logs in the users of `store`, within `limits`.
    pub const fn new(
        store: Arc<Store>,
        hasher: Arc<PasswordHasher>,
        limits: LoginLimits,
        issuer: Arc<Issuer>,
        sessions: Arc<Sessions>,
    ) -> Self {
        Self { store, hasher, limits, issuer, sessions }
    }

    /// Compares the password, and issues the token of `grant`. `source` is the address of the caller.
    pub(crate) async fn login(
        &self,
        grant: LoginGrant,
        source: Option<IpAddr>,
    ) -> Result<LoggedIn, LoginError> {
        let mut attempt = self.limits.begin(grant.username(), source)?;
        let found = self.find(&grant).await?;
        attempt.comparing();
        let mut record = match self.check_password(&grant, found).await {
            Ok(record) => record,
            Err(LoginError::Failed(failed)) => {
                return Err(attempt.failed().map_or(LoginError::Failed(failed), Into::into));
            }
            Err(error) => {
                attempt.cancel();
                return Err(error);
            }
        };
        attempt.succeeded();
        let issue = grant.issue_for(&record.user)?;
        if !issue.with_session() {
            let token = self.issuer.issue(&issue)?;
            return Ok(LoggedIn { token, grant: issue, refresh: None });
        }
        let mut begun = self.begin_session(issue, &record).await?;
        for _ in 1..MAX_ATTEMPTS {
            if begun.is_some() {
                break;
            }
            // The password or its hash was replaced meanwhile: the session needs the stored one.
            record = self.check_password(&grant, self.find(&grant).await?).await?;
            begun = self.begin_session(grant.issue_for(&record.user)?, &record).await?;
        }
        let BegunSession { grant, token, refresh } = begun.ok_or(SessionError::Contended)?;
        Ok(LoggedIn { token, grant, refresh: Some(refresh) })
    }

    async fn begin_session(
        &self,
        grant: IssueGrant,
        record: &UserRecord,
    ) -> Result<Option<BegunSession>, SessionError> {
        self.sessions.begin_for_user(grant, &record.user.user_id, &record.password).await
    }

    async fn find(&self, grant: &LoginGrant) -> Result<Option<UserRecord>, StoreError> {
        match self.store.user_by_name(grant.username()).await {
            Ok(record) => Ok(Some(record)),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the user with its stored hash, if the password matches and the user is enabled.
    async fn check_password(
        &self,
        grant: &LoginGrant,
        found: Option<UserRecord>,
    ) -> Result<UserRecord, LoginError> {
        let hash = found.as_ref().map(|record| record.password.clone());
        let matched = self.hasher.compare(grant.password().clone(), hash).await?;
        let failed = |user_id, reason| Err(FailedLogin { user_id, reason }.into());
        let Some(record) = found else { return failed(None, "unknown user") };
        match matched {
            PasswordMatch::No => failed(Some(record.user.user_id), "wrong password"),
            _ if record.user.settings.disabled => failed(Some(record.user.user_id), "disabled user"),
            PasswordMatch::Yes => Ok(record),
            PasswordMatch::Outdated => Ok(self.rehash(record, grant.password().clone()).await),
        }
    }

    /// Hashes the password again at the current cost. A failure does not fail the login, and the next login retries. Returns the user
    /// with the stored hash.
    async fn rehash(&self, record: UserRecord, password: Password) -> UserRecord {
        let user_id = &record.user.user_id;
        let hash = match self.hasher.rehash(password).await {
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
            // A concurrent login or a new password replaced the hash.
            Ok(false) => record,
            Err(error) => {
                tracing::warn!(%user_id, %error, "password hash not renewed");
                record
            }
        }
    }
}

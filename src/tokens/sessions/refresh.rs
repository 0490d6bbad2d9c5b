//! Uses a refresh token.

use std::sync::Arc;

use super::{
    FreshRefreshToken, SessionError, Sessions,
    decide::{Decision, Presented, decide},
    error::InvalidRefresh,
    sealed_successor,
    token::RefreshToken,
};
use crate::{
    access::{IssueGrant, RefreshGrant},
    keys::CLOCK_MARGIN,
    model::{
        ReplacedToken, Revocation, RevocationTarget, Session, SessionRecord, SessionRotation, UnixTime, User,
        UserId,
    },
    store::StoreError,
    tokens::IssuedToken,
};

/// The most attempts when concurrent requests change the session. A request that finds its token used gets its response in the second
/// attempt.
const MAX_ATTEMPTS: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshOutcome {
    /// The refresh token was replaced.
    Rotated,
    /// The refresh token had been used, and its successor was returned again.
    Repeated,
}

/// A refreshed session. It has no `Debug`, because it contains tokens.
pub(crate) struct RefreshedSession {
    /// The grant of the access token.
    pub(crate) grant: IssueGrant,
    /// The access token.
    pub(crate) token: IssuedToken,
    /// The current refresh token.
    pub(crate) refresh: FreshRefreshToken,
    pub(crate) outcome: RefreshOutcome,
}

impl Sessions {
    /// Uses a refresh token. A denied request leaves the token valid.
    pub(crate) async fn refresh(&self, grant: &RefreshGrant<'_>) -> Result<RefreshedSession, SessionError> {
        let token =
            RefreshToken::parse(grant.refresh_token()).ok_or_else(|| InvalidRefresh::unknown("malformed"))?;
        let presented = Presented { token: &token, client_id: grant.client_id(), request: grant.request() };
        for _ in 0..MAX_ATTEMPTS {
            let now = self.clock.now();
            let record = match self.store.session(token.session_id(), now).await {
                Ok(record) => record,
                Err(StoreError::NotFound) => {
                    return Err(InvalidRefresh::unknown("there is no such session, or it has ended").into());
                }
                Err(error) => return Err(error.into()),
            };
            let refreshed = match decide(&record, &presented, now, self.policy.reuse_window) {
                Decision::Rotate => self.rotate(grant, &presented, record).await?,
                Decision::Repeat(replaced) => self.repeat(grant, &token, &record, replaced).await?,
                Decision::Reused => return Err(self.revoke_reused(record.session, now).await?),
                Decision::RequestIdReused => {
                    return Err(SessionError::RequestIdReused(record.session.session_id));
                }
                Decision::Invalid(why) => return Err(InvalidRefresh::of(&record.session, why).into()),
            };
            if let Some(refreshed) = refreshed {
                return Ok(refreshed);
            }
        }
        Err(SessionError::Contended)
    }

    /// Replaces the current refresh token. Returns `None` if the session changed meanwhile.
    ///
    /// The access token is signed before the rotation: nothing can fail between the rotation and the response, and a revocation after
    /// the rotation is newer than the token.
    async fn rotate(
        &self,
        grant: &RefreshGrant<'_>,
        presented: &Presented<'_>,
        record: SessionRecord,
    ) -> Result<Option<RefreshedSession>, SessionError> {
        let session = record.session;
        let grant = self.authorize(grant, &session).await?;
        let token = self.issuer.issue(&grant)?;
        let successor = RefreshToken::generate(&session.session_id, &record.family)?;
        let now = self.clock.now();
        let idle_expire_time = now.after(self.policy.idle_ttl).min(session.expire_time);
        let rotation = SessionRotation {
            session_id: session.session_id,
            current: successor.digest(),
            replaced: ReplacedToken {
                digest: record.current,
                replace_time: now,
                request: presented.request,
                successor: sealed_successor::seal(presented.token, &successor)?,
            },
            idle_expire_time,
        };
        let rotated = self.store.rotate_session(&rotation).await?;
        let refresh = FreshRefreshToken::new(&successor, idle_expire_time);
        Ok(rotated.then_some(RefreshedSession { grant, token, refresh, outcome: RefreshOutcome::Rotated }))
    }

    /// Returns the successor of a used token again, with a new access token. Returns `None` if the session changed meanwhile.
    async fn repeat(
        &self,
        grant: &RefreshGrant<'_>,
        used: &RefreshToken,
        record: &SessionRecord,
        replaced: &ReplacedToken,
    ) -> Result<Option<RefreshedSession>, SessionError> {
        let session = &record.session;
        let grant = self.authorize(grant, session).await?;
        let successor = sealed_successor::open(used, &record.family, &replaced.successor)?;
        let token = self.issuer.issue(&grant)?;
        // Read again after signing: an earlier revocation must end the session, and a later one is newer than the token.
        let unchanged = match self.store.session(&session.session_id, self.clock.now()).await {
            Ok(now) => now.current == record.current,
            Err(StoreError::NotFound) => false,
            Err(error) => return Err(error.into()),
        };
        let refresh = FreshRefreshToken::new(&successor, session.idle_expire_time);
        Ok(unchanged.then_some(RefreshedSession { grant, token, refresh, outcome: RefreshOutcome::Repeated }))
    }

    /// Permission for the new access token, by the current client and user.
    async fn authorize(
        &self,
        grant: &RefreshGrant<'_>,
        session: &Session,
    ) -> Result<IssueGrant, SessionError> {
        // A client or user with a later creation time was deleted and created again with the same id.
        let latest = session.create_time.after(CLOCK_MARGIN);
        if grant.client().create_time > latest {
            return Err(InvalidRefresh::of(session, "the client was deleted").into());
        }
        let user = match &session.user_id {
            Some(user_id) => Some(self.user(session, user_id, latest).await?),
            None => None,
        };
        Ok(grant.issue_for(session, user.as_ref().map(|user| &user.settings))?)
    }

    /// The user of a session, who must exist and be enabled.
    pub(super) async fn user(
        &self,
        session: &Session,
        user_id: &UserId,
        latest: UnixTime,
    ) -> Result<User, SessionError> {
        let user = match self.store.user(user_id).await {
            Ok(record) => record.user,
            Err(StoreError::NotFound) => {
                return Err(InvalidRefresh::of(session, "the user was deleted").into());
            }
            Err(error) => return Err(error.into()),
        };
        if user.create_time > latest {
            return Err(InvalidRefresh::of(session, "the user was deleted").into());
        }
        if user.settings.disabled {
            return Err(InvalidRefresh::of(session, "the user is disabled").into());
        }
        Ok(user)
    }

    /// Revokes a session after refresh token reuse. Returns the error for the caller once the revocation is durable.
    async fn revoke_reused(&self, session: Session, now: UnixTime) -> Result<SessionError, StoreError> {
        let revocation = Revocation {
            target: RevocationTarget::Session(session.session_id.clone()),
            revoke_time: now,
            expire_time: self.ring.tokens_end(now),
        };
        // In a task of its own, which a disconnect of the caller does not cancel.
        let revocations = Arc::clone(&self.revocations);
        let made = tokio::spawn(async move { revocations.revoke(&revocation).await }).await;
        made.map_err(|error| StoreError::Unavailable(error.to_string().into()))??;
        Ok(SessionError::Reused(Box::new(session)))
    }
}

//! The use of a refresh token.

use std::sync::Arc;

use super::{
    FreshRefreshToken, SessionError, Sessions,
    decide::{Decision, Presented, decide},
    error::InvalidRefresh,
    successor,
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

/// How often a refresh begins anew because the session changed meanwhile. Whoever finds the token used has an answer to that
/// in the second round already.
const TRIES: u32 = 3;

/// How a refresh token was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It was used, and another took its place.
    Rotated,
    /// It had been used, and its successor was given again.
    Repeated,
}

/// A session that was just refreshed. It has no `Debug`: it holds tokens.
pub(crate) struct RefreshedSession {
    /// What was allowed.
    pub(crate) grant: IssueGrant,
    /// The access token.
    pub(crate) token: IssuedToken,
    /// The refresh token that is good from now on.
    pub(crate) refresh: FreshRefreshToken,
    /// How it came to this.
    pub(crate) step: Step,
}

impl Sessions {
    /// Uses a refresh token. What policy denies leaves the token as good as it was.
    pub(crate) async fn refresh(&self, grant: &RefreshGrant<'_>) -> Result<RefreshedSession, SessionError> {
        let token = RefreshToken::parse(grant.refresh_token())
            .ok_or_else(|| InvalidRefresh::unknown("it has not the form of one"))?;
        let presented = Presented { token: &token, client_id: grant.client_id(), request: grant.request() };
        for _ in 0..TRIES {
            let now = self.clock.now();
            let record = match self.store.session(token.session_id(), now).await {
                Ok(record) => record,
                Err(StoreError::NotFound) => {
                    return Err(InvalidRefresh::unknown("there is no session of it, or none any more").into());
                }
                Err(error) => return Err(error.into()),
            };
            let refreshed = match decide(&record, &presented, now, self.policy.reuse_window) {
                Decision::Good => self.rotate(grant, &presented, record).await?,
                Decision::Again(replaced) => self.repeat(grant, &token, &record, replaced).await?,
                Decision::Reused => return Err(self.end(record.session, now).await?),
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

    /// Puts another refresh token in the place of the good one; none if the session changed meanwhile.
    ///
    /// The access token is signed before: nothing that can fail stands between the rotation and the answer, and no revocation
    /// that comes after the rotation is older than the token.
    async fn rotate(
        &self,
        grant: &RefreshGrant<'_>,
        presented: &Presented<'_>,
        record: SessionRecord,
    ) -> Result<Option<RefreshedSession>, SessionError> {
        let session = record.session;
        let grant = self.leave(grant, &session).await?;
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
                successor: successor::seal(presented.token, &successor)?,
            },
            idle_expire_time,
        };
        let rotated = self.store.rotate_session(&rotation).await?;
        let refresh = FreshRefreshToken::new(&successor, idle_expire_time);
        Ok(rotated.then_some(RefreshedSession { grant, token, refresh, step: Step::Rotated }))
    }

    /// Gives the successor of a used token again, with a fresh access token; none if the session changed meanwhile.
    async fn repeat(
        &self,
        grant: &RefreshGrant<'_>,
        used: &RefreshToken,
        record: &SessionRecord,
        replaced: &ReplacedToken,
    ) -> Result<Option<RefreshedSession>, SessionError> {
        let session = &record.session;
        let grant = self.leave(grant, session).await?;
        let successor = successor::open(used, &record.family, &replaced.successor)?;
        let token = self.issuer.issue(&grant)?;
        // Looked at again once the token is signed: a revocation that was answered before must refuse it, and one that comes
        // after is not older than the token.
        let unchanged = match self.store.session(&session.session_id, self.clock.now()).await {
            Ok(now) => now.current == record.current,
            Err(StoreError::NotFound) => false,
            Err(error) => return Err(error.into()),
        };
        let refresh = FreshRefreshToken::new(&successor, session.idle_expire_time);
        Ok(unchanged.then_some(RefreshedSession { grant, token, refresh, step: Step::Repeated }))
    }

    /// What the session may have now, as its client and its user are now.
    async fn leave(&self, grant: &RefreshGrant<'_>, session: &Session) -> Result<IssueGrant, SessionError> {
        // Whoever was registered since has only the id of the one before.
        let at_the_latest = session.create_time.after(CLOCK_MARGIN);
        if grant.client().create_time > at_the_latest {
            return Err(InvalidRefresh::of(session, "its client was deleted").into());
        }
        let user = match &session.user_id {
            Some(user_id) => Some(self.user(session, user_id, at_the_latest).await?),
            None => None,
        };
        Ok(grant.issue_for(session, user.as_ref().map(|user| &user.settings))?)
    }

    /// The user who began a session, who must be there and not disabled.
    pub(super) async fn user(
        &self,
        session: &Session,
        user_id: &UserId,
        at_the_latest: UnixTime,
    ) -> Result<User, SessionError> {
        let user = match self.store.user(user_id).await {
            Ok(record) => record.user,
            Err(StoreError::NotFound) => {
                return Err(InvalidRefresh::of(session, "its user was deleted").into());
            }
            Err(error) => return Err(error.into()),
        };
        if user.create_time > at_the_latest {
            return Err(InvalidRefresh::of(session, "its user was deleted").into());
        }
        if user.settings.disabled {
            return Err(InvalidRefresh::of(session, "its user is disabled").into());
        }
        Ok(user)
    }

    /// Ends a session of which a token was used twice: nobody knows who has the good one. Answers what the caller is told once
    /// that is durable.
    async fn end(&self, session: Session, now: UnixTime) -> Result<SessionError, StoreError> {
        let revocation = Revocation {
            target: RevocationTarget::Session(session.session_id.clone()),
            revoke_time: now,
            expire_time: self.ring.tokens_end(now),
        };
        // In a task of its own: a caller that hangs up must not keep the session from being ended.
        let revocations = Arc::clone(&self.revocations);
        let made = tokio::spawn(async move { revocations.make(&revocation).await }).await;
        made.map_err(|error| StoreError::Unavailable(error.to_string().into()))??;
        Ok(SessionError::Reused(Box::new(session)))
    }
}

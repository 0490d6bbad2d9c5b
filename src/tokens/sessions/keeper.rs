//! Keeps sessions.

use std::sync::Arc;

use super::{SessionError, SessionPolicy, token::RefreshToken};
use crate::{
    access::AdminGrant,
    clock::Clock,
    keys::{CLOCK_MARGIN, KeyRing},
    model::{Session, SessionFilter, SessionId},
    revocations::Revocations,
    store::{Store, StoreError},
    tokens::Issuer,
};

/// Keeps sessions.
#[derive(Debug)]
pub struct Sessions {
    pub(super) policy: SessionPolicy,
    pub(super) store: Arc<dyn Store>,
    pub(super) issuer: Arc<Issuer>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) clock: Arc<dyn Clock>,
}

/// A refresh token that is, or was, one of a session that has not ended.
#[derive(Debug)]
pub(crate) struct KnownToken {
    /// The session.
    pub(crate) session: Session,
    /// Whether it is the good one; if not, it was used.
    pub(crate) is_good: bool,
}

impl Sessions {
    /// Keeps them in `store`. Their access tokens are issued by `issuer` with the keys of `ring`.
    pub const fn new(
        policy: SessionPolicy,
        store: Arc<dyn Store>,
        issuer: Arc<Issuer>,
        ring: Arc<KeyRing>,
        revocations: Arc<Revocations>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { policy, store, issuer, ring, revocations, clock }
    }

    /// What the text of a refresh token stands for; none if it is no refresh token, or its session has ended. Nothing comes of
    /// looking, not even if the token was used before. The caller has still to be found entitled to know.
    pub(crate) async fn look(&self, text: &str) -> Result<Option<KnownToken>, StoreError> {
        let Some(token) = RefreshToken::parse(text) else { return Ok(None) };
        let record = match self.store.session(token.session_id(), self.clock.now()).await {
            Ok(record) => record,
            Err(StoreError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        if !token.bears_mark_of(&record.family) {
            return Ok(None);
        }
        Ok(Some(KnownToken { is_good: token.digest() == record.current, session: record.session }))
    }

    /// Whether the user who began the session, if one did, may go on with it: whoever refreshes it would be answered.
    pub(crate) async fn may_go_on(&self, session: &Session) -> Result<bool, StoreError> {
        let Some(user_id) = &session.user_id else { return Ok(true) };
        match self.user(session, user_id, session.create_time.after(CLOCK_MARGIN)).await {
            Ok(_) => Ok(true),
            Err(SessionError::Store(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Up to `limit` sessions by id, after `after`; and whether there are more.
    pub(crate) async fn list(
        &self,
        _: &AdminGrant,
        filter: &SessionFilter,
        after: Option<&SessionId>,
        limit: u32,
    ) -> Result<(Vec<Session>, bool), StoreError> {
        let asked = limit.saturating_add(1);
        let mut sessions = self.store.sessions_page(filter, self.clock.now(), after, asked).await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = sessions.len() > wanted;
        sessions.truncate(wanted);
        Ok((sessions, more))
    }
}

//! Sessions: rotating refresh tokens, each valid once.
//!
//! A session is one row in the store. `token` is the form of refresh tokens, `decide` decides about a presented one without side
//! effects, `begin` and `refresh` write to the store.

mod begin;
mod decide;
mod error;
mod refresh;
mod sealed_successor;
mod token;

use std::{sync::Arc, time::Duration};

use crate::{
    access::AdminGrant,
    clock::Clock,
    keys::{CLOCK_MARGIN, KeyRing},
    model::{Session, SessionFilter, SessionId},
    revocations::Revocations,
    store::{Store, StoreError},
    tokens::Issuer,
};

pub(crate) use begin::{BegunSession, FreshRefreshToken};
pub(crate) use error::SessionError;
pub(crate) use refresh::{RefreshOutcome, RefreshedSession};
pub(super) use token::RefreshToken;

/// Settings of sessions. Whole seconds.
#[derive(Debug, Clone, Copy)]
pub struct SessionPolicy {
    /// The lifetime of an unused refresh token.
    pub idle_ttl: Duration,
    /// The maximum lifetime of a session.
    pub max_ttl: Duration,
    /// How long a used refresh token still returns its successor.
    pub reuse_window: Duration,
}

/// Begins, refreshes and lists sessions.
#[derive(Debug)]
pub struct Sessions {
    policy: SessionPolicy,
    store: Arc<Store>,
    issuer: Arc<Issuer>,
    ring: Arc<KeyRing>,
    revocations: Arc<Revocations>,
    clock: Arc<dyn Clock>,
}

/// The session of a refresh token.
#[derive(Debug)]
pub(crate) struct SessionOfToken {
    pub(crate) session: Session,
    /// Whether the refresh token is the current one; otherwise it was used.
    pub(crate) is_current: bool,
}

impl Sessions {
    /// Stores sessions in `store`. Their access tokens are issued by `issuer` with the keys of `ring`.
    pub const fn new(
        policy: SessionPolicy,
        store: Arc<Store>,
        issuer: Arc<Issuer>,
        ring: Arc<KeyRing>,
        revocations: Arc<Revocations>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { policy, store, issuer, ring, revocations, clock }
    }

    /// Finds the unexpired session of a refresh token. Has no side effects, even for a used token. The caller must check that the client
    /// may see the session.
    pub(crate) async fn find(&self, refresh_token: &str) -> Result<Option<SessionOfToken>, StoreError> {
        let Some(token) = RefreshToken::parse(refresh_token) else { return Ok(None) };
        let record = match self.store.session(token.session_id(), self.clock.now()).await {
            Ok(record) => record,
            Err(StoreError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        if !token.has_mark_of(&record.family) {
            return Ok(None);
        }
        Ok(Some(SessionOfToken { is_current: token.digest() == record.current, session: record.session }))
    }

    /// Whether the user of the session, if there is one, still exists and is enabled.
    pub(crate) async fn has_active_user(&self, session: &Session) -> Result<bool, StoreError> {
        let Some(user_id) = &session.user_id else { return Ok(true) };
        match self.user(session, user_id, session.create_time.after(CLOCK_MARGIN)).await {
            Ok(_) => Ok(true),
            Err(SessionError::Store(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Lists up to `limit` sessions by id, after `after`; and whether there are more.
    pub(crate) async fn list(
        &self,
        _: &AdminGrant,
        filter: &SessionFilter,
        after: Option<&SessionId>,
        limit: u32,
    ) -> Result<(Vec<Session>, bool), StoreError> {
        let now = self.clock.now();
        let mut sessions = self.store.sessions_page(filter, now, after, limit.saturating_add(1)).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = sessions.len() > limit;
        sessions.truncate(limit);
        Ok((sessions, has_more))
    }
}

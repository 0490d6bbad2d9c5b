//! Errors of sessions.

use super::sealed_successor::SealError;
use crate::{
    access::{Denial, PolicyError},
    model::{Session, SessionId},
    random::RandomError,
    store::StoreError,
    tokens::IssueError,
};

/// Why a session was not begun or refreshed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// The refresh token is invalid. The caller learns no more; the log has the reason.
    #[error(transparent)]
    Invalid(#[from] InvalidRefresh),
    #[error("a refresh token of session {} of client {} was used twice; the session is revoked", .0.session_id, .0.client_id)]
    Reused(Box<Session>),
    /// Another request had the same `request_id`.
    #[error("another request had this `request_id`")]
    RequestIdReused(SessionId),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("concurrent requests changed the session at each attempt")]
    Contended,
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl SessionError {
    /// The session, if it is known.
    pub(crate) const fn session_id(&self) -> Option<&SessionId> {
        match self {
            Self::Invalid(invalid) => invalid.session_id.as_ref(),
            Self::Reused(session) => Some(&session.session_id),
            Self::RequestIdReused(session_id) => Some(session_id),
            _ => None,
        }
    }

    /// The subject of a revoked session.
    pub(crate) fn subject(&self) -> Option<&str> {
        if let Self::Reused(session) = self { Some(&session.subject) } else { None }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the refresh token is not valid: {why}{}", session_id.as_ref().map(|id| format!(", session {id}")).unwrap_or_default())]
pub(crate) struct InvalidRefresh {
    /// The session, if it exists.
    pub(super) session_id: Option<SessionId>,
    pub(super) why: &'static str,
}

impl InvalidRefresh {
    /// A token without a session.
    pub(super) const fn unknown(why: &'static str) -> Self {
        Self { session_id: None, why }
    }

    /// A token of `session`.
    pub(super) fn of(session: &Session, why: &'static str) -> Self {
        Self { session_id: Some(session.session_id.clone()), why }
    }
}

impl From<Denial> for SessionError {
    fn from(denial: Denial) -> Self {
        Self::Policy(denial.into())
    }
}

//! Why a session was not begun or refreshed.

use super::successor::SealError;
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
    /// The refresh token is good for nothing. That is all that the caller is told; the log may know more.
    #[error(transparent)]
    Invalid(#[from] InvalidRefresh),
    /// The refresh token was used twice, and its session has been revoked.
    #[error("a refresh token of session {} of client {} was used twice; the session is revoked", .0.session_id, .0.client_id)]
    Reused(Box<Session>),
    /// Another request had the same name.
    #[error("another request had this `request_id`")]
    RequestIdReused(SessionId),
    /// The session may not have what was asked for.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The session changed again and again while the token was to be used.
    #[error("the session changed again and again")]
    Contended,
    /// No access token could be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The successor of a refresh token could not be kept, or what was kept is damaged.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl SessionError {
    /// The session, if one is known.
    pub(crate) const fn session_id(&self) -> Option<&SessionId> {
        match self {
            Self::Invalid(invalid) => invalid.session_id.as_ref(),
            Self::Reused(session) => Some(&session.session_id),
            Self::RequestIdReused(session_id) => Some(session_id),
            _ => None,
        }
    }

    /// Whose session was ended, if one was.
    pub(crate) fn subject(&self) -> Option<&str> {
        if let Self::Reused(session) = self { Some(&session.subject) } else { None }
    }
}

/// A refresh token that is good for nothing, and why, for the log.
#[derive(Debug, thiserror::Error)]
#[error("the refresh token is not valid: {why}{}", session_id.as_ref().map(|id| format!(", session {id}")).unwrap_or_default())]
pub(crate) struct InvalidRefresh {
    /// The session, if there is one that the token is of.
    pub(super) session_id: Option<SessionId>,
    /// Why.
    pub(super) why: &'static str,
}

impl InvalidRefresh {
    /// A token of no session.
    pub(super) const fn unknown(why: &'static str) -> Self {
        Self { session_id: None, why }
    }

    /// A token of this session.
    pub(super) fn of(session: &Session, why: &'static str) -> Self {
        Self { session_id: Some(session.session_id.clone()), why }
    }
}

impl From<Denial> for SessionError {
    fn from(denial: Denial) -> Self {
        Self::Policy(denial.into())
    }
}

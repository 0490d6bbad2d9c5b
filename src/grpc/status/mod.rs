//! From what went wrong to what the caller is told: the only place that makes a `tonic::Status`, and where each failure
//! is logged, once. The log may say more than the caller is told.

mod floors;
mod framework;
mod told;

use prost::Message as _;
use tonic::Status;

pub(super) use self::framework::of_framework;
use self::told::Told;
use super::{admission::Busy, trail};
use crate::{
    access::{AuthenticationError, Denial, PolicyError, RegistryError, UserError},
    audit::AuditUnavailable,
    keys::{KeyError, TooManyWatches},
    model::{NoRoom, Violations},
    tokens::{
        ExchangeError, IntrospectError, IssueError, LoginError, RevokeError, SessionError, VerifyError,
    },
};

/// Why a call is not answered with what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("the request is malformed")]
    Invalid(Violations),
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Users(#[from] UserError),
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error(transparent)]
    Introspect(#[from] IntrospectError),
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error(transparent)]
    Revoke(#[from] RevokeError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Watches(#[from] TooManyWatches),
    /// Another request of this caller had the same `request_id`.
    #[error("another request had this `request_id`")]
    RequestIdReused,
    /// What was begun for the call ended without an answer.
    #[error("what was begun for the call ended without an answer")]
    Lost,
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    #[error(transparent)]
    Audit(#[from] AuditUnavailable),
    /// A verifier left unread what it was sent.
    #[error("the verifier does not read what it is sent")]
    SlowReader,
    /// The store was restored from a backup that is older than what the verifier was told.
    #[error("the state went back to an earlier one; watch again")]
    WentBack,
    /// The server stops and takes no more calls, or cannot wait for this one.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The call took longer than its caller or the server allows.
    #[error("the call took too long")]
    DeadlineExceeded,
    /// The request is compressed.
    #[error("the request is compressed, which is not supported")]
    Compressed,
    /// There is no such method.
    #[error("the method is unknown")]
    MethodUnknown,
    /// The request's message is larger than the limit.
    #[error("the request is larger than the server's limit")]
    RequestTooLarge,
    /// The request's octets are no message of the method's type.
    #[error("the request is not a well-formed message: {0}")]
    Undecodable(String),
}

impl From<Denial> for CallError {
    fn from(denial: Denial) -> Self {
        Self::Policy(denial.into())
    }
}

impl CallError {
    /// The status to answer with, logged.
    pub(crate) fn into_status(self) -> Status {
        let told = Told::of(&self);
        trail::refused(told.reason, &self, told.field.as_deref());
        told.into_status(&self)
    }

    /// The same as a message, for one item of a batch.
    pub(crate) fn into_item(self) -> tonic_types::Status {
        let told = Told::of(&self);
        trail::item_refused(told.reason);
        let status = told.into_status(&self);
        // A status with details holds the whole message, encoded, as its details.
        tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        })
    }
}

//! From what went wrong to what the caller is told: the only place that makes a `tonic::Status`, and where each failure
//! is logged, once. The log may say more than the caller is told.

mod floors;
mod framework;
mod told;

use prost::Message as _;
use tonic::Status;

pub(super) use self::framework::of_framework;
use self::told::Told;
use super::call::CallContext;
use crate::{
    access::{AuthenticationError, Denial, PolicyError, RegistryError, UserError},
    admission::Overloaded,
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
    Overloaded(#[from] Overloaded),
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
    /// A health check of a service that is not served.
    #[error("no service of that name is served here")]
    ServiceUnknown,
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

impl CallError {
    /// Whether it says nothing about the request: the server or the client is overloaded, or the audit log fails.
    pub(in crate::grpc) const fn is_overload(&self) -> bool {
        matches!(self, Self::Overloaded(_) | Self::NoRoom(_) | Self::Audit(_))
    }
}

impl From<Denial> for CallError {
    fn from(denial: Denial) -> Self {
        Self::Policy(denial.into())
    }
}

impl CallError {
    /// The status to answer `call` with, logged and recorded.
    pub(in crate::grpc) fn into_status(self, call: &CallContext) -> Status {
        let told = Told::of(&self);
        call.refused(told.reason, &self, told.field.as_deref());
        told.into_status(&self, Some(call))
    }

    /// The status that ends a stream after its call was answered.
    pub(in crate::grpc) fn into_status_outside_calls(self) -> Status {
        Told::of(&self).into_status(&self, None)
    }

    /// The status of one item of a batch, as a message.
    pub(in crate::grpc) fn into_item(self, call: &CallContext) -> tonic_types::Status {
        let told = Told::of(&self);
        if !self.is_overload() {
            call.item_refused(told.reason);
        }
        let status = told.into_status(&self, Some(call));
        // A status with details holds the whole message, encoded, as its details.
        tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        })
    }
}

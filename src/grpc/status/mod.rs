//! Errors of calls, and their conversion to a `tonic::Status`.
//!
//! The only module that makes a status. Each error is logged here, once; the log may hold more than the response.

mod domain_errors;
mod error_response;

use prost::Message as _;
use tonic::{Code, Status};

use self::error_response::ErrorResponse;
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

/// Why a call fails.
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
    /// A different request of this caller had the same `request_id`.
    #[error("another request had this `request_id`; use a new UUID for each request")]
    RequestIdReused,
    /// A task of the call ended without a result.
    #[error("a task of the call ended without a result")]
    Lost,
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    #[error(transparent)]
    Audit(#[from] AuditUnavailable),
    /// A client did not read its responses in time.
    #[error("the client does not read the responses of the stream in time")]
    SlowReader,
    /// The store was restored from a backup that is older than the state of the verifier.
    #[error("the state went back to an earlier one; watch again")]
    WentBack,
    /// The server stops: it accepts no more calls, or cannot wait for this one.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The call took longer than `grpc-timeout` or `request_timeout`.
    #[error("the call took too long")]
    DeadlineExceeded,
    /// The request is compressed.
    #[error("the request is compressed, which is not supported")]
    Compressed,
    /// A health check of a service that is not served.
    #[error("no service of that name is served here")]
    ServiceUnknown,
    /// The method is not served.
    #[error("the method is unknown")]
    MethodUnknown,
    /// The request's message is larger than the limit.
    #[error("the request is larger than the server's limit")]
    RequestTooLarge,
    /// The request's metadata is larger than the limit.
    #[error(
        "the metadata of the request is larger than max_header_bytes, which is {0}: send a shorter token or less metadata"
    )]
    MetadataTooLarge(u32),
    /// The request is not a message of the method's type.
    #[error("the request is not a well-formed message: {0}")]
    Undecodable(String),
}

impl CallError {
    /// Whether the cause is an overload or a failing audit log, and not the request.
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
    /// Logs and records the error. Returns the status of the response.
    pub(in crate::grpc) fn into_status(self, call: &CallContext) -> Status {
        let response = ErrorResponse::of(&self);
        call.note_refusal(response.reason, &self, response.field.as_deref());
        response.into_status(&self, Some(call))
    }

    /// Logs the error. Returns the status that ends a stream after its call was answered.
    pub(in crate::grpc) fn into_status_outside_calls(self) -> Status {
        ErrorResponse::of(&self).into_status(&self, None)
    }

    /// Logs and records the error. Returns the status of an item of a batch.
    pub(in crate::grpc) fn into_item(self, call: &CallContext) -> tonic_types::Status {
        let response = ErrorResponse::of(&self);
        if !self.is_overload() {
            call.note_item_refusal(response.reason);
        }
        let status = response.into_status(&self, Some(call));
        // A status with details holds the whole message, encoded, as its details.
        tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        })
    }
}

/// Converts an error that tonic answered itself, so that every error carries an `ErrorInfo`. Returns nothing for a success, and for an
/// error of this server.
pub(in crate::grpc) fn from_tonic(headers: &http::HeaderMap) -> Option<CallError> {
    if !headers.contains_key("grpc-status") || headers.contains_key("grpc-status-details-bin") {
        return None;
    }
    let status = Status::from_header_map(headers)?;
    match status.code() {
        // tonic's message is empty for an unknown method, and not for an unknown compression.
        Code::Unimplemented if status.message().is_empty() => Some(CallError::MethodUnknown),
        Code::Unimplemented => Some(CallError::Compressed),
        // From tonic's codec: a message over the limit, or one that does not decode.
        Code::OutOfRange | Code::ResourceExhausted => Some(CallError::RequestTooLarge),
        Code::Internal | Code::InvalidArgument => Some(CallError::Undecodable(status.message().to_owned())),
        _ => None,
    }
}

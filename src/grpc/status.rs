//! From what went wrong to what the caller is told: the only file that makes a `tonic::Status`, and where each failure
//! is logged, once. The log may say more than the caller is told.

use std::{collections::HashMap, time::Duration};

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{admission::Busy, trail};
use crate::{
    access::{AuthenticationError, Denial, HashError, PolicyError, RegistryError, UserError},
    audit::AuditUnavailable,
    keys::{KeyError, TooManyWatches},
    model::Violations,
    store::StoreError,
    tokens::{IssueError, LoginError, VerifyError},
};

/// The domain of every `google.rpc.ErrorInfo`.
const DOMAIN: &str = "tokend";

/// When one who found no room to watch may ask again.
const WATCH_RETRY: Duration = Duration::from_secs(5);

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
    Audit(#[from] AuditUnavailable),
    /// A verifier left unread what it was sent.
    #[error("the verifier does not read what it is sent")]
    SlowReader,
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

/// What a caller is told: a code, a reason for programs, a sentence for people.
struct Told {
    code: Code,
    reason: &'static str,
    message: String,
    violations: Violations,
    field: Option<String>,
    retry_after: Option<Duration>,
}

impl Told {
    fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            violations: Violations::default(),
            field: None,
            retry_after: None,
        }
    }

    fn invalid(violations: Violations) -> Self {
        let message = match violations.as_slice() {
            [one] => format!("{}: {}", one.field, one.description),
            _ => "the request is malformed; each field is listed".to_owned(),
        };
        Self { violations, ..Self::new(Code::InvalidArgument, "FIELD_INVALID", message) }
    }

    fn internal() -> Self {
        Self::new(Code::Internal, "INTERNAL", "an internal error occurred")
    }

    fn store_unavailable() -> Self {
        Self::new(Code::Unavailable, "STORE_UNAVAILABLE", "the store cannot be reached")
    }

    fn limited(error: &dyn std::error::Error, retry_after: Duration) -> Self {
        let told = Self::new(Code::ResourceExhausted, "RATE_LIMITED", error.to_string());
        Self { retry_after: Some(retry_after), ..told }
    }

    fn denied(denial: &Denial) -> Self {
        let told = Self::new(Code::PermissionDenied, denial.reason.name(), denial.to_string());
        Self { field: Some(denial.field.clone()), ..told }
    }

    fn of(error: &CallError) -> Self {
        match error {
            CallError::Authentication(AuthenticationError::Missing) => {
                Self::new(Code::Unauthenticated, "CREDENTIALS_MISSING", "a credential is needed")
            }
            CallError::Authentication(AuthenticationError::Invalid(_)) => {
                Self::new(Code::Unauthenticated, "CREDENTIALS_INVALID", "the credential is not valid")
            }
            CallError::Authentication(AuthenticationError::RateLimited { retry_after, .. }) => Self {
                retry_after: Some(*retry_after),
                ..Self::new(
                    Code::ResourceExhausted,
                    "RATE_LIMITED",
                    "too many credentials of this address or client were not valid",
                )
            },
            CallError::Authentication(AuthenticationError::IssuerKeys(_)) => {
                Self::new(Code::Unavailable, "STATE_STALE", "the keys of the token's issuer are not there")
            }
            CallError::Policy(PolicyError::Denied(denial)) => Self::denied(denial),
            CallError::Policy(PolicyError::Incomplete(violations))
            | CallError::Invalid(violations)
            | CallError::Registry(RegistryError::Invalid(violations)) => Self::invalid(violations.clone()),
            CallError::Issue(error) => Self::of_issue(error),
            CallError::Verify(VerifyError::Refused(refusal)) => {
                Self::new(Code::InvalidArgument, refusal.reason.name(), refusal.detail)
            }
            CallError::Verify(VerifyError::KeyUnavailable(_))
            | CallError::Authentication(AuthenticationError::Store(StoreError::Unavailable(_)))
            | CallError::Registry(
                RegistryError::Store(StoreError::Unavailable(_)) | RegistryError::Contended,
            ) => Self::store_unavailable(),
            CallError::Registry(RegistryError::Store(StoreError::NotFound)) => {
                Self::new(Code::NotFound, "CLIENT_NOT_FOUND", "there is no client of that id")
            }
            CallError::Registry(RegistryError::Store(StoreError::AlreadyExists)) => Self::new(
                Code::AlreadyExists,
                "CLIENT_ALREADY_EXISTS",
                "there is a client of that id already",
            ),
            CallError::Registry(RegistryError::Changed) => {
                Self::new(Code::Aborted, "ETAG_MISMATCH", error.to_string())
            }
            CallError::RequestIdReused => {
                Self::new(Code::FailedPrecondition, "REQUEST_ID_REUSED", error.to_string())
            }
            CallError::Registry(RegistryError::NoSecret) => {
                Self::new(Code::FailedPrecondition, "CLIENT_SECRET_NOT_USED", error.to_string())
            }
            CallError::Lost
            | CallError::Authentication(AuthenticationError::Store(
                StoreError::NotFound | StoreError::AlreadyExists | StoreError::Corrupt { .. },
            ))
            | CallError::Registry(
                RegistryError::Random(_) | RegistryError::Store(StoreError::Corrupt { .. }),
            ) => Self::internal(),
            CallError::Users(error) => Self::of_users(error),
            CallError::Login(error) => Self::of_login(error),
            CallError::Keys(error) => Self::of_keys(error),
            CallError::Watches(TooManyWatches) => Self::limited(error, WATCH_RETRY),
            CallError::Busy(busy) => Self::limited(error, busy.retry_after()),
            CallError::Audit(AuditUnavailable) => {
                Self::new(Code::Unavailable, "AUDIT_UNAVAILABLE", error.to_string())
            }
            CallError::SlowReader => Self {
                retry_after: Some(Duration::ZERO),
                ..Self::new(Code::ResourceExhausted, "SLOW_READER", error.to_string())
            },
            CallError::ShuttingDown => Self::new(Code::Unavailable, "SHUTTING_DOWN", error.to_string()),
            CallError::DeadlineExceeded => {
                Self::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", error.to_string())
            }
            CallError::MethodUnknown => Self::new(Code::Unimplemented, "METHOD_UNKNOWN", error.to_string()),
            CallError::Compressed => {
                Self::new(Code::Unimplemented, "COMPRESSION_UNSUPPORTED", error.to_string())
            }
            CallError::RequestTooLarge => {
                Self::new(Code::ResourceExhausted, "REQUEST_TOO_LARGE", error.to_string())
            }
            CallError::Undecodable(_) => {
                Self::new(Code::InvalidArgument, "FIELD_INVALID", "the request is not a well-formed message")
            }
        }
    }

    fn of_issue(error: &IssueError) -> Self {
        match error {
            IssueError::Invalid(violations) => Self::invalid(violations.clone()),
            IssueError::NoActiveKey { .. } => {
                Self::new(Code::FailedPrecondition, "NO_ACTIVE_KEY", error.to_string())
            }
            IssueError::Signing(_) | IssueError::Random(_) => Self::internal(),
        }
    }

    fn of_users(error: &UserError) -> Self {
        match error {
            UserError::Store(StoreError::NotFound) => {
                Self::new(Code::NotFound, "USER_NOT_FOUND", "there is no such user")
            }
            UserError::Store(StoreError::AlreadyExists) => Self::new(
                Code::AlreadyExists,
                "USER_ALREADY_EXISTS",
                "there is a user of that id or that name already",
            ),
            UserError::Store(StoreError::Unavailable(_)) => Self::store_unavailable(),
            UserError::Changed => Self::new(Code::Aborted, "ETAG_MISMATCH", error.to_string()),
            UserError::Weak(problem) => Self::invalid(Violations::of("password", problem.to_string())),
            UserError::Import(problem) => Self::invalid(Violations::of("password_hash", problem.to_string())),
            UserError::Hash(error) => Self::of_hash(error),
            UserError::Store(StoreError::Corrupt { .. }) | UserError::Random(_) => Self::internal(),
        }
    }

    fn of_login(error: &LoginError) -> Self {
        match error {
            LoginError::Failed(_) => {
                Self::new(Code::Unauthenticated, "LOGIN_FAILED", "the user name or the password is wrong")
            }
            LoginError::Limited(limit) => Self::limited(limit, limit.retry_after),
            LoginError::Denied(denial) => Self::denied(denial),
            LoginError::Store(StoreError::Unavailable(_)) => Self::store_unavailable(),
            LoginError::Hash(error) => Self::of_hash(error),
            LoginError::Issue(error) => Self::of_issue(error),
            LoginError::Store(
                StoreError::NotFound | StoreError::AlreadyExists | StoreError::Corrupt { .. },
            ) => Self::internal(),
        }
    }

    fn of_hash(error: &HashError) -> Self {
        match error {
            HashError::Busy { retry_after } => Self::limited(error, *retry_after),
            HashError::Failed(_) | HashError::Stopped => Self::internal(),
        }
    }

    fn of_keys(error: &KeyError) -> Self {
        match error {
            KeyError::NotFound => Self::new(Code::NotFound, "KEY_NOT_FOUND", "there is no key of that id"),
            KeyError::AlreadyThere(..) => {
                Self::new(Code::AlreadyExists, "KEY_ALREADY_EXISTS", error.to_string())
            }
            KeyError::Refused(field, problem) => Self::invalid(Violations::of(field, problem)),
            KeyError::Shared(_) => {
                Self::new(Code::FailedPrecondition, "KEY_NOT_ROTATABLE", error.to_string())
            }
            KeyError::TooManyRetired(_) | KeyError::TooManyVerifying(_) => {
                Self::new(Code::FailedPrecondition, "TOO_MANY_KEYS", error.to_string())
            }
            KeyError::Store(StoreError::Unavailable(_)) | KeyError::Contended => Self::store_unavailable(),
            KeyError::Store(
                StoreError::NotFound | StoreError::AlreadyExists | StoreError::Corrupt { .. },
            )
            | KeyError::Sealing(_)
            | KeyError::SealingKeyMissing { .. }
            | KeyError::Reseal(_)
            | KeyError::Damaged(_)
            | KeyError::Unusable(..)
            | KeyError::Make(..)
            | KeyError::SharedSecret(_)
            | KeyError::Transition(_) => Self::internal(),
        }
    }

    fn details(&self) -> ErrorDetails {
        let metadata: HashMap<String, String> =
            self.field.iter().map(|field| ("field".to_owned(), field.clone())).collect();
        let mut details = ErrorDetails::with_error_info(self.reason, DOMAIN, metadata);
        if let Some(retry_after) = self.retry_after {
            details.set_retry_info(Some(retry_after));
        }
        for violation in self.violations.as_slice() {
            details.add_bad_request_violation(&violation.field, &violation.description);
        }
        details
    }

    fn into_status(self, error: &CallError) -> Status {
        self.log(error);
        Status::with_error_details(self.code, &self.message, self.details())
    }

    /// Once for each failure: what a caller did wrong is news, what tokend cannot do is a warning, a bug is an error.
    fn log(&self, error: &CallError) {
        let reason = self.reason;
        match self.code {
            Code::Internal => tracing::error!(reason, %error, "call failed"),
            Code::Unavailable | Code::DeadlineExceeded => tracing::warn!(reason, %error, "call failed"),
            _ => match error {
                CallError::Policy(PolicyError::Denied(denial)) => {
                    let line = denial.line.as_deref().unwrap_or("no line");
                    tracing::info!(reason, %error, line, "call refused");
                }
                _ => tracing::info!(reason, %error, "call refused"),
            },
        }
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

/// What the framework answered by itself, in our words: every error carries an `ErrorInfo`. None when the answer is no
/// error, or one of ours.
pub(super) fn of_framework(headers: &http::HeaderMap) -> Option<CallError> {
    if !headers.contains_key("grpc-status") || headers.contains_key("grpc-status-details-bin") {
        return None;
    }
    let status = Status::from_header_map(headers)?;
    match status.code() {
        // tonic says nothing about an unknown method, and something about an unknown compression.
        Code::Unimplemented if status.message().is_empty() => Some(CallError::MethodUnknown),
        Code::Unimplemented => Some(CallError::Compressed),
        // tonic's codec: a message over the limit, and one that does not decode.
        Code::OutOfRange | Code::ResourceExhausted => Some(CallError::RequestTooLarge),
        Code::Internal | Code::InvalidArgument => Some(CallError::Undecodable(status.message().to_owned())),
        _ => None,
    }
}

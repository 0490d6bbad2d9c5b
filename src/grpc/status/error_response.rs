//! The error response of a call.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::CallError;
use crate::{
    access::{AuthenticationError, Denial, PolicyError, RegistryError},
    audit::AuditUnavailable,
    grpc::call::CallContext,
    keys::TooManyWatches,
    model::{InvalidToken, Violations},
    store::StoreError,
    tokens::{ExchangeError, IntrospectError, LoginError, RevokeError, SessionError},
};

/// The domain of every `google.rpc.ErrorInfo`.
const DOMAIN: &str = "tokend";

/// When a verifier that was rejected for the limit of watches may retry.
const WATCH_RETRY: Duration = Duration::from_secs(5);

/// When a call that was rejected for the memory limit may be retried: other calls have ended by then.
const MEMORY_RETRY: Duration = Duration::from_secs(1);

/// An error response: a code, a reason for programs, and a message for people.
pub(super) struct ErrorResponse {
    pub(super) code: Code,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) violations: Violations,
    pub(super) field: Option<String>,
    /// The entries of `ErrorInfo.metadata` besides the field.
    pub(super) metadata: Vec<(&'static str, String)>,
    pub(super) retry_after: Option<Duration>,
}

impl ErrorResponse {
    pub(super) fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            violations: Violations::default(),
            field: None,
            metadata: Vec::new(),
            retry_after: None,
        }
    }

    pub(super) fn invalid(violations: Violations) -> Self {
        let message = match violations.as_slice() {
            [one] => format!("{}: {}", one.field, one.description),
            _ => "the request is malformed; each field is listed".to_owned(),
        };
        Self { violations, ..Self::new(Code::InvalidArgument, "FIELD_INVALID", message) }
    }

    pub(super) fn internal() -> Self {
        Self::new(Code::Internal, "INTERNAL", "an internal error occurred")
    }

    pub(super) fn store_unavailable() -> Self {
        Self::new(Code::Unavailable, "STORE_UNAVAILABLE", "the store cannot be reached")
    }

    pub(super) fn issuer_keys_missing() -> Self {
        Self::new(Code::Unavailable, "STATE_STALE", "the keys of the token's issuer are not there")
    }

    pub(super) fn request_id_reused(error: &dyn std::error::Error) -> Self {
        Self::new(Code::FailedPrecondition, "REQUEST_ID_REUSED", error.to_string())
    }

    pub(super) fn limited(error: &dyn std::error::Error, retry_after: Duration) -> Self {
        let response = Self::new(Code::ResourceExhausted, "RATE_LIMITED", error.to_string());
        Self { retry_after: Some(retry_after), ..response }
    }

    pub(super) fn denied(denial: &Denial) -> Self {
        let response = Self::new(Code::PermissionDenied, denial.reason.name(), denial.to_string());
        Self { field: Some(denial.field.clone()), metadata: denial.metadata.to_vec(), ..response }
    }

    pub(super) fn refused(refusal: &InvalidToken) -> Self {
        let response = Self::new(Code::InvalidArgument, refusal.reason.name(), refusal.detail);
        Self { metadata: refusal.metadata.clone(), ..response }
    }

    pub(super) fn of(error: &CallError) -> Self {
        match error {
            CallError::Authentication(AuthenticationError::Missing) => Self::new(
                Code::Unauthenticated,
                "CREDENTIALS_MISSING",
                "the call has no credential; send it as `authorization: Bearer SECRET`",
            ),
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
            CallError::Authentication(AuthenticationError::IssuerKeys(_)) => Self::issuer_keys_missing(),
            CallError::Policy(error) => Self::of_policy(error),
            CallError::Invalid(violations) | CallError::Registry(RegistryError::Invalid(violations)) => {
                Self::invalid(violations.clone())
            }
            CallError::Issue(error) => Self::of_issue(error),
            CallError::Verify(error) => Self::of_verify(error),
            CallError::Authentication(AuthenticationError::Store(StoreError::Unavailable(_)))
            | CallError::Registry(
                RegistryError::Store(StoreError::Unavailable(_)) | RegistryError::Contended,
            ) => Self::store_unavailable(),
            CallError::Registry(RegistryError::Store(StoreError::NotFound)) => {
                Self::new(Code::NotFound, "CLIENT_NOT_FOUND", "there is no client of that id")
            }
            CallError::Registry(
                RegistryError::Store(StoreError::AlreadyExists) | RegistryError::UserHasId,
            ) => Self::new(
                Code::AlreadyExists,
                "CLIENT_ALREADY_EXISTS",
                "a client or a user with that id already exists; both are subjects of tokens",
            ),
            CallError::Registry(RegistryError::Changed) => {
                Self::new(Code::Aborted, "ETAG_MISMATCH", error.to_string())
            }
            CallError::Registry(RegistryError::Denied(denial)) => Self::denied(denial),
            CallError::RequestIdReused => Self::request_id_reused(error),
            CallError::Registry(RegistryError::NoSecret) => {
                Self::new(Code::FailedPrecondition, "CLIENT_SECRET_NOT_USED", error.to_string())
            }
            CallError::Lost
            | CallError::Introspect(IntrospectError::Store(
                StoreError::NotFound | StoreError::AlreadyExists | StoreError::Corrupt { .. },
            ))
            | CallError::Authentication(AuthenticationError::Store(
                StoreError::NotFound | StoreError::AlreadyExists | StoreError::Corrupt { .. },
            ))
            | CallError::Registry(
                RegistryError::Random(_) | RegistryError::Store(StoreError::Corrupt { .. }),
            ) => Self::internal(),
            CallError::Users(error) => Self::of_users(error),
            CallError::Introspect(IntrospectError::Verify(error)) => Self::of_verify(error),
            CallError::Introspect(IntrospectError::Store(StoreError::Unavailable(_))) => {
                Self::store_unavailable()
            }
            CallError::Exchange(error) => Self::of_exchange(error),
            CallError::Revoke(error) => Self::of_revoke(error),
            CallError::Login(error) => Self::of_login(error),
            CallError::Session(error) => Self::of_session(error),
            CallError::Keys(error) => Self::of_keys(error),
            CallError::Watches(TooManyWatches) => Self::limited(error, WATCH_RETRY),
            CallError::Overloaded(overloaded) => Self::limited(error, overloaded.retry_after()),
            CallError::NoRoom(error) => Self {
                retry_after: Some(MEMORY_RETRY),
                ..Self::new(Code::ResourceExhausted, "MEMORY_EXHAUSTED", error.to_string())
            },
            CallError::Audit(AuditUnavailable) => {
                Self::new(Code::Unavailable, "AUDIT_UNAVAILABLE", error.to_string())
            }
            CallError::SlowReader => Self {
                retry_after: Some(Duration::ZERO),
                ..Self::new(Code::ResourceExhausted, "SLOW_READER", error.to_string())
            },
            CallError::WentBack => Self::new(Code::Unavailable, "STATE_STALE", error.to_string()),
            CallError::ShuttingDown => Self::new(Code::Unavailable, "SHUTTING_DOWN", error.to_string()),
            CallError::DeadlineExceeded => {
                Self::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", error.to_string())
            }
            CallError::MethodUnknown => Self::new(Code::Unimplemented, "METHOD_UNKNOWN", error.to_string()),
            CallError::ServiceUnknown => Self::new(Code::NotFound, "SERVICE_UNKNOWN", error.to_string()),
            CallError::Compressed => {
                Self::new(Code::Unimplemented, "COMPRESSION_UNSUPPORTED", error.to_string())
            }
            CallError::RequestTooLarge | CallError::MetadataTooLarge(_) => {
                Self::new(Code::ResourceExhausted, "REQUEST_TOO_LARGE", error.to_string())
            }
            CallError::Undecodable(_) => {
                Self::new(Code::InvalidArgument, "FIELD_INVALID", "the request is not a well-formed message")
            }
        }
    }

    pub(super) fn details(&self) -> ErrorDetails {
        let metadata: HashMap<String, String> = self
            .field
            .iter()
            .map(|field| ("field", field))
            .chain(self.metadata.iter().map(|(name, value)| (*name, value)))
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect();
        let mut details = ErrorDetails::with_error_info(self.reason, DOMAIN, metadata);
        if let Some(retry_after) = self.retry_after {
            details.set_retry_info(Some(retry_after));
        }
        for violation in self.violations.as_slice() {
            details.add_bad_request_violation(&violation.field, &violation.description);
        }
        details
    }

    pub(super) fn into_status(self, error: &CallError, call: Option<&CallContext>) -> Status {
        self.log(error, call);
        Status::with_error_details(self.code, &self.message, self.details())
    }

    /// Whether callers without a credential, or with other parties' tokens, can cause the error as often as they like. Such errors are
    /// counted, and logged at `debug` only, so that they cannot fill the log.
    fn is_routine(&self, error: &CallError, call: Option<&CallContext>) -> bool {
        match error {
            CallError::NoRoom(_) | CallError::Verify(_) | CallError::ShuttingDown => true,
            // Callers forward tokens that they have received.
            CallError::Exchange(ExchangeError::Refused { .. } | ExchangeError::Unknown(_))
            | CallError::Introspect(_) => true,
            // Limited by `max_failed_callers`.
            CallError::Authentication(AuthenticationError::Invalid(_)) => false,
            _ => {
                !matches!(self.code, Code::Internal | Code::Unavailable)
                    && !call.is_some_and(CallContext::has_caller)
            }
        }
    }

    /// Logs the error once: a refusal as information, an unavailable dependency as a warning, a bug as an error.
    pub(super) fn log(&self, error: &CallError, call: Option<&CallContext>) {
        let reason = self.reason;
        let is_routine = self.is_routine(error, call);
        if is_routine && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let _in_call = call.map(|call| call.log_span().enter());
        match self.code {
            _ if is_routine => tracing::debug!(reason, %error, "call refused"),
            Code::Internal => tracing::error!(reason, %error, "call failed"),
            Code::Unavailable | Code::DeadlineExceeded => tracing::warn!(reason, %error, "call failed"),
            _ => match error {
                CallError::Policy(PolicyError::Denied(denial))
                | CallError::Registry(RegistryError::Denied(denial))
                | CallError::Session(SessionError::Policy(PolicyError::Denied(denial)))
                | CallError::Login(LoginError::Denied(denial))
                | CallError::Revoke(RevokeError::Denied(denial))
                | CallError::Exchange(ExchangeError::Policy(PolicyError::Denied(denial))) => {
                    let line = denial.line.as_deref().unwrap_or("no line");
                    let (client, field, value) = (denial.client(), &denial.field, denial.value.as_deref());
                    tracing::info!(reason, client, field, value, line, "call refused");
                }
                // The refresh token may have been stolen: an operator must look.
                CallError::Session(SessionError::Reused(_)) => {
                    tracing::warn!(reason, %error, "call refused");
                }
                _ => tracing::info!(reason, %error, "call refused"),
            },
        }
    }
}

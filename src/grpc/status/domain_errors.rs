//! The error responses of the modules below `grpc`.

use tonic::Code;

use super::error_response::ErrorResponse;
use crate::{
    access::{HashError, PolicyError, UserError},
    keys::KeyError,
    model::Violations,
    store::StoreError,
    tokens::{ExchangeError, IssueError, KeysOf, LoginError, RevokeError, SessionError, VerifyError},
};

impl ErrorResponse {
    pub(super) fn of_issue(error: &IssueError) -> Self {
        match error {
            IssueError::Invalid(violations) => Self::invalid(violations.clone()),
            IssueError::NoActiveKey { .. } => {
                Self::new(Code::FailedPrecondition, "NO_ACTIVE_KEY", error.to_string())
            }
            IssueError::Signing(_) | IssueError::Random(_) => Self::internal(),
        }
    }

    pub(super) fn of_policy(error: &PolicyError) -> Self {
        match error {
            PolicyError::Denied(denial) => Self::denied(denial),
            PolicyError::Incomplete(violations) => Self::invalid(violations.clone()),
        }
    }

    pub(super) fn of_verify(error: &VerifyError) -> Self {
        match error {
            VerifyError::Refused(refusal) => Self::refused(refusal),
            VerifyError::Stale(stale) => Self::new(Code::Unavailable, "STATE_STALE", stale.to_string()),
            // The store was not read yet: the result may differ on the next call.
            VerifyError::KeyNotInMemory | VerifyError::KeyUnavailable(_) => Self::store_unavailable(),
        }
    }

    pub(super) fn of_exchange(error: &ExchangeError) -> Self {
        match error {
            ExchangeError::Refused { field, refusal } => {
                let message = format!("{field}: {}", refusal.detail);
                Self { message, field: Some((*field).to_owned()), ..Self::refused(refusal) }
            }
            ExchangeError::Unknown(error) => Self::of_verify(error),
            ExchangeError::KeyNotInMemory(KeysOf::Store) => Self::store_unavailable(),
            ExchangeError::KeyNotInMemory(KeysOf::Issuer(_)) | ExchangeError::IssuerKeys(_) => {
                Self::issuer_keys_missing()
            }
            ExchangeError::Policy(error) => Self::of_policy(error),
            ExchangeError::Issue(error) => Self::of_issue(error),
        }
    }

    pub(super) fn of_revoke(error: &RevokeError) -> Self {
        match error {
            RevokeError::Denied(denial) => Self::denied(denial),
            RevokeError::Invalid(violations) => Self::invalid(violations.clone()),
            RevokeError::Unknown(error) => Self::of_verify(error),
            RevokeError::Store(StoreError::Unavailable(_)) => Self::store_unavailable(),
            RevokeError::Store(
                StoreError::NotFound | StoreError::AlreadyExists | StoreError::Corrupt { .. },
            ) => Self::internal(),
        }
    }

    pub(super) fn of_users(error: &UserError) -> Self {
        match error {
            UserError::Store(StoreError::NotFound) => {
                Self::new(Code::NotFound, "USER_NOT_FOUND", "there is no such user")
            }
            UserError::Store(StoreError::AlreadyExists) => Self::new(
                Code::AlreadyExists,
                "USER_ALREADY_EXISTS",
                "a user with that id or name, or a client with that id, already exists; both are subjects of tokens",
            ),
            UserError::Store(StoreError::Unavailable(_)) => Self::store_unavailable(),
            UserError::Changed => Self::new(Code::Aborted, "ETAG_MISMATCH", error.to_string()),
            UserError::Weak(problem) => Self::invalid(Violations::of("password", problem.to_string())),
            UserError::Import(problem) => Self::invalid(Violations::of("password_hash", problem.to_string())),
            UserError::Hash(error) => Self::of_hash(error),
            UserError::Store(StoreError::Corrupt { .. }) | UserError::Random(_) => Self::internal(),
        }
    }

    pub(super) fn of_login(error: &LoginError) -> Self {
        match error {
            LoginError::Failed(_) => {
                Self::new(Code::Unauthenticated, "LOGIN_FAILED", "the user name or the password is wrong")
            }
            LoginError::Limited(limit) => Self::limited(limit, limit.retry_after),
            LoginError::Denied(denial) => Self::denied(denial),
            LoginError::Store(StoreError::Unavailable(_)) => Self::store_unavailable(),
            LoginError::Hash(error) => Self::of_hash(error),
            LoginError::Issue(error) => Self::of_issue(error),
            LoginError::Session(error) => Self::of_session(error),
            LoginError::Store(
                StoreError::NotFound | StoreError::AlreadyExists | StoreError::Corrupt { .. },
            ) => Self::internal(),
        }
    }

    pub(super) fn of_session(error: &SessionError) -> Self {
        match error {
            SessionError::Invalid(_) => {
                Self::new(Code::Unauthenticated, "REFRESH_TOKEN_INVALID", "the refresh token is not valid")
            }
            SessionError::Reused(_) => Self::new(
                Code::Unauthenticated,
                "REFRESH_TOKEN_REUSED",
                "the refresh token was used before; its session has been ended",
            ),
            SessionError::RequestIdReused(_) => Self::request_id_reused(error),
            SessionError::Policy(PolicyError::Denied(denial)) => Self::denied(denial),
            SessionError::Policy(PolicyError::Incomplete(violations)) => Self::invalid(violations.clone()),
            SessionError::Store(StoreError::Unavailable(_)) | SessionError::Contended => {
                Self::store_unavailable()
            }
            SessionError::Issue(error) => Self::of_issue(error),
            SessionError::Store(
                StoreError::NotFound | StoreError::AlreadyExists | StoreError::Corrupt { .. },
            )
            | SessionError::Random(_)
            | SessionError::Seal(_) => Self::internal(),
        }
    }

    pub(super) fn of_hash(error: &HashError) -> Self {
        match error {
            HashError::Busy { retry_after } => Self::limited(error, *retry_after),
            HashError::Failed(_) | HashError::Stopped => Self::internal(),
        }
    }

    pub(super) fn of_keys(error: &KeyError) -> Self {
        match error {
            KeyError::NotFound => Self::new(Code::NotFound, "KEY_NOT_FOUND", "there is no key of that id"),
            KeyError::AlreadyExists(..) => {
                Self::new(Code::AlreadyExists, "KEY_ALREADY_EXISTS", error.to_string())
            }
            KeyError::Refused(field, problem) => Self::invalid(Violations::of(field, problem)),
            KeyError::Shared(_) | KeyError::ClockInDoubt => {
                Self::new(Code::FailedPrecondition, "KEY_NOT_ROTATABLE", error.to_string())
            }
            KeyError::Untrusted(..) => Self::new(
                Code::FailedPrecondition,
                "KEY_NOT_ROTATABLE",
                "a stored key of that algorithm fails its check; see the log, then revoke the key or restore its row",
            ),
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
            | KeyError::UntrustedClient(..)
            | KeyError::Damaged(_)
            | KeyError::Unusable(..)
            | KeyError::Make(..)
            | KeyError::SharedSecret(_)
            | KeyError::Transition(_) => Self::internal(),
        }
    }
}

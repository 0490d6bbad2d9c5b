//! The errors of this crate.

use std::borrow::Cow;

use tokend_jose::{InvalidToken, Reason};
use tonic::{Code, Status};

/// A setting is missing or invalid.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A URL cannot be used.
    #[error("the URL {url}: {problem}")]
    Url {
        /// The URL.
        url: String,
        /// The problem.
        problem: String,
    },
    /// A required setting is missing.
    #[error("{setting} is missing: call `.{setting}(…)` on the builder")]
    Missing {
        /// The method of the builder.
        setting: &'static str,
    },
    /// There is no Tokio runtime.
    #[error("call this in a Tokio runtime, for example in `#[tokio::main] async fn main`")]
    NoRuntime,
    /// A value is invalid.
    #[error("{setting}: {problem}")]
    Invalid {
        /// The method of the builder.
        setting: &'static str,
        /// The problem.
        problem: &'static str,
    },
}

/// No access token is available. Cheap to clone: all callers that waited for one call get the same error.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// A file with a credential cannot be used. The text contains nothing of the file.
    #[error("the credential file {path}: {problem}")]
    Credential {
        /// The path.
        path: String,
        /// The problem.
        problem: String,
    },
    /// tokend refused the call, or could not be reached. The status has tokend's message, and says what to do.
    #[error("tokend issued no token: {}: {}", .0.code(), .0.message())]
    Call(#[source] Status),
    /// tokend did not respond in time.
    #[error("tokend issued no token within {} s", .0.as_secs())]
    Timeout(std::time::Duration),
    /// tokend's response cannot be used.
    #[error("tokend's response cannot be used: {0}")]
    Response(&'static str),
}

/// A request is not authenticated, or not authorized.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The request has no `authorization: Bearer` header.
    #[error("the request has no access token: send it as `authorization: Bearer TOKEN`")]
    Missing,
    /// The request has several `authorization` headers, or one that is not ASCII.
    #[error("the request must have one `authorization` header, in ASCII")]
    Malformed,
    /// The token is rejected.
    #[error("{}: {detail}", reason.name())]
    Rejected {
        /// The reason, as tokend's API names it.
        reason: Reason,
        /// The reason as a sentence. It contains nothing of the token.
        detail: Cow<'static, str>,
    },
    /// The token is valid, and lacks a scope.
    #[error("TOKEN_SCOPE_INSUFFICIENT: the token lacks the scope {scope}")]
    InsufficientScope {
        /// The scope.
        scope: String,
    },
    /// Tokens cannot be verified at present: keys and revocations are not loaded or too old, or tokend cannot be reached. Retry later.
    #[error("tokens cannot be verified at present: {0}")]
    Unavailable(Cow<'static, str>),
}

impl From<TokenError> for Status {
    /// The code of tokend's status, or UNAVAILABLE if tokend could not be reached or the credential cannot be read.
    fn from(error: TokenError) -> Self {
        let message = error.to_string();
        let mut status = Self::unavailable(message.clone());
        if let TokenError::Call(cause) = &error
            && !matches!(cause.code(), Code::Unknown | Code::Cancelled | Code::DeadlineExceeded)
        {
            status = Self::with_details(cause.code(), message, cause.details().to_vec().into());
        }
        status.set_source(std::sync::Arc::new(error));
        status
    }
}

impl VerifyError {
    /// The token is for other audiences.
    pub(crate) fn other_audience() -> Self {
        InvalidToken::new(Reason::AudienceMismatch, "the token is for other audiences").into()
    }
}

impl From<InvalidToken> for VerifyError {
    fn from(error: InvalidToken) -> Self {
        Self::Rejected { reason: error.reason, detail: error.detail.into() }
    }
}

impl From<VerifyError> for Status {
    /// UNAUTHENTICATED, PERMISSION_DENIED for a missing scope, or UNAVAILABLE.
    fn from(error: VerifyError) -> Self {
        let message = error.to_string();
        match error {
            VerifyError::Missing | VerifyError::Malformed | VerifyError::Rejected { .. } => {
                Self::unauthenticated(message)
            }
            VerifyError::InsufficientScope { .. } => Self::permission_denied(message),
            // The cause is for the log: it can name other services.
            VerifyError::Unavailable(_) => {
                Self::unavailable("tokens cannot be verified at present; retry later")
            }
        }
    }
}

//! Errors of the start and of the run.

use crate::{
    audit::AuditOpenError,
    grpc::ReflectionError,
    keys::KeyError,
    listen::TlsError,
    random::RandomError,
    store::{OpenError, StoreError},
    telemetry::TraceError,
};

/// Why the server cannot start. Each text names the setting to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error("setting `store`: {0}")]
    Open(#[from] OpenError),
    /// The store failed after it was opened.
    #[error("setting `store`: {0}")]
    Store(#[from] StoreError),
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The TLS files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The audit log cannot be opened.
    #[error(transparent)]
    Audit(#[from] AuditOpenError),
    /// Traces cannot be exported.
    #[error(transparent)]
    Traces(#[from] TraceError),
    /// The binary is damaged.
    #[error(transparent)]
    Reflection(#[from] ReflectionError),
}

/// The server stopped for another reason than the shutdown.
#[derive(Debug, thiserror::Error)]
#[error("the server ended unexpectedly: {0}")]
pub struct RunError(pub(super) String);

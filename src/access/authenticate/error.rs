//! Errors of authentication.

use std::{fmt, time::Duration};

use crate::{
    model::{AuthenticationMethod, ClientId},
    store::StoreError,
};

/// Why a caller is not authenticated. The caller learns the variant and nothing more: an unknown client, a wrong secret and a
/// malformed credential have one response.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// There is no credential.
    #[error("no credential was sent")]
    Missing,
    /// The credential is invalid, or there are several.
    #[error("the credential is not valid: {0}")]
    Invalid(InvalidCredential),
    /// The credential is invalid or was not checked, and there were too many failures.
    #[error("too many credentials were not valid; the last one: {invalid}")]
    RateLimited {
        /// The last invalid credential.
        invalid: InvalidCredential,
        /// The delay before a retry.
        retry_after: Duration,
    },
    /// The store failed to check whether an assertion was used before.
    #[error(transparent)]
    Store(StoreError),
    /// The keys of a trusted issuer are not available.
    #[error("the keys of the trusted issuer `{0}` are not available")]
    IssuerKeys(String),
}

impl AuthenticationError {
    /// The type of the credential, if it was recognised.
    pub(super) const fn method(&self) -> Option<AuthenticationMethod> {
        match self {
            Self::Missing => None,
            Self::Invalid(invalid) | Self::RateLimited { invalid, .. } => invalid.method,
            Self::Store(_) => Some(AuthenticationMethod::PrivateKeyJwt),
            Self::IssuerKeys(_) => Some(AuthenticationMethod::WorkloadIdentity),
        }
    }
}

impl From<InvalidCredential> for AuthenticationError {
    fn from(invalid: InvalidCredential) -> Self {
        Self::Invalid(invalid)
    }
}

/// An invalid credential, for the log: the failed check and the client id, and nothing else of the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCredential {
    /// The type of the credential, if it was recognised.
    pub method: Option<AuthenticationMethod>,
    /// The client id in the credential. The client may not exist.
    pub client_id: Option<ClientId>,
    /// The failed check.
    pub problem: &'static str,
}

impl InvalidCredential {
    pub(super) const fn new(method: Option<AuthenticationMethod>, problem: &'static str) -> Self {
        Self { method, client_id: None, problem }
    }

    /// Sets the client id.
    pub(super) fn naming(self, client_id: Option<ClientId>) -> Self {
        Self { client_id, ..self }
    }
}

impl fmt::Display for InvalidCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method.map_or("unknown method", AuthenticationMethod::name);
        write!(f, "{} ({method}", self.problem)?;
        if let Some(client_id) = &self.client_id {
            write!(f, ", client {client_id}")?;
        }
        f.write_str(")")
    }
}

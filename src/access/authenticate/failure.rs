//! Why nobody knows who calls.

use std::time::Duration;

use crate::{
    model::{AuthenticationMethod, ClientId, Refusal},
    store::StoreError,
};

/// Why nobody knows who calls. A caller is told which of these it is and nothing more: an unknown client, a wrong secret
/// and a malformed credential are the same.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// There is no credential.
    #[error("no credential was sent")]
    Missing,
    /// The credential proves nothing, or there are several.
    #[error("the credential is not valid: {0}")]
    Invalid(Unproven),
    /// The same, and there were too many of them.
    #[error("too many credentials were not valid; the last one: {unproven}")]
    RateLimited {
        /// What was wrong with this one, or that it was not looked at.
        unproven: Unproven,
        /// When another failure will be taken.
        retry_after: Duration,
    },
    /// Whether an assertion was used before is not known.
    #[error(transparent)]
    Store(StoreError),
    /// The keys of a trusted issuer could not be had.
    #[error("the keys of the trusted issuer `{0}` are not there")]
    IssuerKeys(String),
}

impl AuthenticationError {
    /// The kind of credential, as far as it was recognised.
    pub(super) const fn method(&self) -> Option<AuthenticationMethod> {
        match self {
            Self::Missing => None,
            Self::Invalid(unproven) | Self::RateLimited { unproven, .. } => unproven.method,
            Self::Store(_) => Some(AuthenticationMethod::PrivateKeyJwt),
            Self::IssuerKeys(_) => Some(AuthenticationMethod::WorkloadIdentity),
        }
    }
}

/// A credential that proves nothing. Its text is for the log: it says which check failed, and nothing of the credential
/// but the client that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unproven {
    /// The kind of credential, as far as it was recognised.
    pub method: Option<AuthenticationMethod>,
    /// The client that it names, be there such a client or not.
    pub client_id: Option<ClientId>,
    /// What is wrong with it.
    pub check: &'static str,
}

impl Unproven {
    pub(super) const fn new(method: Option<AuthenticationMethod>, check: &'static str) -> Self {
        Self { method, client_id: None, check }
    }

    pub(super) const fn refused(method: AuthenticationMethod, refusal: &Refusal) -> Self {
        Self::new(Some(method), refusal.detail)
    }

    /// The same of a credential that names this client.
    pub(super) fn naming(self, client_id: Option<ClientId>) -> Self {
        Self { client_id, ..self }
    }
}

impl std::fmt::Display for Unproven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.check)?;
        f.write_str(" (")?;
        f.write_str(self.method.map_or("unknown method", AuthenticationMethod::name))?;
        if let Some(client_id) = &self.client_id {
            write!(f, ", client {client_id}")?;
        }
        f.write_str(")")
    }
}

impl From<Unproven> for AuthenticationError {
    fn from(unproven: Unproven) -> Self {
        Self::Invalid(unproven)
    }
}

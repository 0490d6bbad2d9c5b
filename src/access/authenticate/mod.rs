//! Authenticates the caller of a call by the credential in its headers or its connection.
//!
//! Invariant: an `Authenticated` is made here only, from exactly one checked credential of a type that its client allows.

mod assertion;
mod authenticator;
mod caller;
mod credential;
mod error;
mod failure_limits;
mod metrics;

pub use authenticator::{Authenticator, CallerSettings};
pub use caller::Authenticated;
pub(crate) use caller::Caller;
pub use error::{AuthenticationError, InvalidCredential};

/// Whether the metadata contains one well-formed credential.
#[cfg(fuzzing)]
pub(crate) fn reads_credential(headers: &http::HeaderMap) -> bool {
    credential::Credential::parse(headers, 8192).is_ok_and(|credential| {
        let _client_id = credential.as_ref().map(credential::Credential::client_id);
        credential.is_some()
    })
}

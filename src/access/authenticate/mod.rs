//! From what came with a call to the caller: one file a kind of credential.
//!
//! Invariant: a caller is made here alone, from exactly one credential that was checked, of a kind that its client may present.

mod assertion;
mod authenticator;
mod caller;
mod certificate;
mod credential;
mod failure;
mod failures;
mod jwt;
mod metrics;
mod settings;
mod workload;

pub use authenticator::Authenticator;
pub use caller::Authenticated;
pub(crate) use caller::Caller;
pub use failure::{AuthenticationError, Unproven};
pub(in crate::access) use jwt::UnprovenToken;
pub use metrics::AuthenticationMetrics;
pub use settings::CallerSettings;
pub(in crate::access) use workload::check as check_issued;

/// Whether the metadata holds one credential that is well-formed.
#[cfg(fuzzing)]
pub(crate) fn reads_credential(headers: &http::HeaderMap) -> bool {
    credential::Credential::of(headers, 8192).is_ok_and(|credential| {
        let _names_a_client = credential.as_ref().map(credential::Credential::names);
        credential.is_some()
    })
}

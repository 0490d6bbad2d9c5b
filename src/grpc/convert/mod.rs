//! Conversion between messages and the model.
//!
//! Reading a request collects all violations: the policy is asked before the caller learns of them, and then learns of all at once.

mod client;
mod exchange;
mod introspect;
mod issue;
mod json;
mod key;
mod offline;
mod page;
mod revoke;
mod scalar;
mod session;
mod trust;
mod user;
mod verify;

use super::status::CallError;
use crate::{model::Violations, spans};

pub(crate) use client::{CLIENT_FIELDS, read_client, shown_client};
pub(super) use client::{
    client_id, client_message, client_settings, client_update, optional_client_id, overlap, version,
};
pub(super) use exchange::exchange_request;
pub(crate) use introspect::session_claims;
pub(super) use introspect::{introspect_request, introspect_response};
pub(super) use issue::{issue_request, login_request, refresh_request, token_response};
pub(crate) use json::struct_members;
pub(super) use key::{
    import_request, key_id, key_message, key_page_id, optional_algorithm, parse_key_page_id, reason,
    skipped_key_message, trusted_key_message,
};
pub(crate) use offline::{
    read_exchange_request, read_introspect_request, read_issue_request, read_login_request,
    read_refresh_request, read_revoke_request, read_verify_request,
};
pub(super) use page::{fit_page, next_page_token, page};
pub(super) use revoke::{end_session_request, revoke_request, revoke_response};
pub(crate) use scalar::timestamp;
pub(super) use scalar::{duration_message, request_id};
pub(super) use session::{list_sessions_request, session_message};
pub(super) use trust::{acknowledgement, key_update, revocation, subscription};
pub(super) use user::{
    new_password, optional_user_id, revision, user_change, user_id, user_key, user_message, user_settings,
};
pub(crate) use verify::encode_claims;
pub(super) use verify::{
    VerifiedFields, encode_verified, field_len, put_bytes, put_length, verified_len, verified_response,
    verify_request,
};

/// A request with its violations.
#[derive(Debug)]
pub(super) struct Checked<T> {
    value: T,
    violations: Violations,
}

impl<T> Checked<T> {
    /// Asks `policy`, and only then returns the violations.
    pub(super) fn authorize<G, E: Into<CallError>>(
        self,
        policy: impl FnOnce(T) -> Result<G, E>,
    ) -> Result<G, CallError> {
        let _step = spans::step("policy");
        let grant = policy(self.value).map_err(Into::into)?;
        self.violations.into_result().map_err(CallError::Invalid)?;
        Ok(grant)
    }

    /// Notes the request if it is valid: malformed values are written nowhere.
    pub(super) fn if_valid(&self, note: impl FnOnce(&T)) {
        if self.violations.as_slice().is_empty() {
            note(&self.value);
        }
    }

    /// Adds violations.
    pub(super) fn also(mut self, violations: Violations) -> Self {
        self.violations.append(violations);
        self
    }

    /// Returns the request, or its violations.
    pub(super) fn into_result(self) -> Result<T, Violations> {
        self.violations.into_result()?;
        Ok(self.value)
    }

    /// Returns a valid request. For requests that are authorized by their method alone.
    pub(super) fn valid(self) -> Result<T, CallError> {
        self.into_result().map_err(CallError::Invalid)
    }
}

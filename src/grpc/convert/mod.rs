//! Wire to model, and back. Reading a request never fails at once: it collects everything that is wrong with it, so that
//! permission is checked before validity, and a caller can mend all fields in one go.

mod client;
mod exchange;
mod introspect;
mod issue;
mod json;
mod key;
mod login;
mod offline;
mod page;
mod refresh;
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
pub(super) use exchange::{exchange_request, exchanged_answer};
pub(super) use introspect::{introspect_request, introspected_answer};
pub(super) use issue::{issue_request, session_answer, token_answer};
pub(crate) use json::struct_members;
pub(super) use key::{
    import_request, key_id, key_message, key_page_start, next_key_page, optional_algorithm, reason,
    skipped_key_message, trusted_key_message,
};
pub(super) use login::{login_answer, login_request};
pub(crate) use offline::{
    read_exchange_request, read_introspect_request, read_issue_request, read_login_request,
    read_refresh_request, read_revoke_request, read_verify_request,
};
pub(super) use page::{cut, page_size};
pub(super) use refresh::{refresh_answer, refresh_request};
pub(super) use revoke::{end_session_request, revoke_request, revoked_answer};
pub(super) use scalar::{duration_message, instant_message, request_id};
pub(super) use session::{session_message, session_page};
pub(super) use trust::{acknowledged, news, revocation, subscription};
pub(super) use user::{
    new_password, optional_user_id, revision, user_change, user_id, user_key, user_message, user_settings,
};
pub(crate) use verify::encode_claims;
pub(super) use verify::{
    VerifiedFields, encode_verified, field_len, put_bytes, put_length, verified_len, verified_response,
    verify_request,
};

/// A request as it was read, with what is wrong with it.
#[derive(Debug)]
pub(super) struct Checked<T> {
    value: T,
    violations: Violations,
}

impl<T> Checked<T> {
    /// Asks `policy` first; only then says what is wrong with the request.
    pub(super) fn authorize<G, E: Into<CallError>>(
        self,
        policy: impl FnOnce(T) -> Result<G, E>,
    ) -> Result<G, CallError> {
        let _step = spans::step("policy");
        let grant = policy(self.value).map_err(Into::into)?;
        self.violations.into_result().map_err(CallError::Invalid)?;
        Ok(grant)
    }

    /// Notes the request, if nothing is wrong with it: what is malformed is written down nowhere.
    pub(super) fn if_sound(&self, note: impl FnOnce(&T)) {
        if self.violations.as_slice().is_empty() {
            note(&self.value);
        }
    }

    /// Adds what else is wrong with the request.
    pub(super) fn also(mut self, violations: Violations) -> Self {
        self.violations.append(violations);
        self
    }

    /// The request, or what is wrong with it.
    pub(super) fn into_result(self) -> Result<T, Violations> {
        self.violations.into_result()?;
        Ok(self.value)
    }

    /// The request, if nothing is wrong with it. For requests that are authorized by their method alone.
    pub(super) fn valid(self) -> Result<T, CallError> {
        self.into_result().map_err(CallError::Invalid)
    }
}

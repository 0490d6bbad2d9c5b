//! The claims of a verified token.

use std::{fmt, sync::Arc};

use serde::de::DeserializeOwned;
use tokend_jose::TokenClaims;

use crate::VerifyError;

/// The claims of a verified token. Cheap to clone. The layer puts them into the extensions of the request.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    registered: TokenClaims,
    json: Box<str>,
}

impl Claims {
    pub(super) fn new(registered: TokenClaims, json: &str) -> Self {
        Self(Arc::new(Inner { registered, json: json.into() }))
    }

    /// The subject (`sub`). It is unique within its issuer only.
    pub fn subject(&self) -> &str {
        &self.0.registered.subject
    }

    /// The client to which the token was issued (`client_id`).
    pub fn client_id(&self) -> Option<&str> {
        self.0.registered.client_id.as_deref()
    }

    /// The scopes (`scope`).
    pub fn scopes(&self) -> &[String] {
        &self.0.registered.scopes
    }

    /// Every registered claim.
    pub fn registered(&self) -> &TokenClaims {
        &self.0.registered
    }

    /// Whether the token has this scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.registered.scopes.iter().any(|own| own == scope)
    }

    /// Checks that the token has this scope, for a decision that depends on the content of the request.
    ///
    /// # Errors
    /// [`VerifyError::InsufficientScope`], which becomes PERMISSION_DENIED or HTTP 403.
    pub fn require_scope(&self, scope: &str) -> Result<(), VerifyError> {
        if self.has_scope(scope) {
            return Ok(());
        }
        Err(VerifyError::InsufficientScope { scope: scope.to_owned() })
    }

    /// The payload of the token exactly as signed: the text of a JSON object.
    pub fn json(&self) -> &str {
        &self.0.json
    }

    /// Reads the payload, for claims that are not registered.
    ///
    /// # Errors
    /// If the claims do not have the form of `T`.
    pub fn deserialize<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(&self.0.json)
    }

    /// The estimated memory in bytes.
    pub(super) fn bytes(&self) -> usize {
        // The registered claims are copies of parts of the text, each with an allocation.
        const ALLOCATIONS: usize = 512;
        size_of::<Inner>() + ALLOCATIONS + 2 * self.0.json.len()
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.registered.fmt(f)
    }
}

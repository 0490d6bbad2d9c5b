//! Saying whether a token is good (RFC 7662).

use std::sync::Arc;

use super::{Sessions, Verifier};

/// Says whether tokens are good.
#[derive(Debug)]
pub struct Introspector {
    verifier: Arc<Verifier>,
    sessions: Arc<Sessions>,
}

impl Introspector {
    /// Looks at access tokens as `verifier` does, and at refresh tokens of `sessions`.
    pub const fn new(verifier: Arc<Verifier>, sessions: Arc<Sessions>) -> Self {
        Self { verifier, sessions }
    }
}

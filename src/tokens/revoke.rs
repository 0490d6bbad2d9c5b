//! Revoking tokens.

use std::sync::Arc;

use super::{Sessions, Verifier};
use crate::revocations::Revocations;

/// Revokes tokens.
#[derive(Debug)]
pub struct Revoker {
    verifier: Arc<Verifier>,
    sessions: Arc<Sessions>,
    revocations: Arc<Revocations>,
}

impl Revoker {
    /// Revokes the tokens that `verifier` takes.
    pub const fn new(
        verifier: Arc<Verifier>,
        sessions: Arc<Sessions>,
        revocations: Arc<Revocations>,
    ) -> Self {
        Self { verifier, sessions, revocations }
    }
}

//! Keeps sessions.

use std::sync::Arc;

use super::SessionPolicy;
use crate::{clock::Clock, revocations::Revocations, store::Store, tokens::Issuer};

/// Keeps sessions.
#[derive(Debug)]
pub struct Sessions {
    policy: SessionPolicy,
    store: Arc<dyn Store>,
    issuer: Arc<Issuer>,
    revocations: Arc<Revocations>,
    clock: Arc<dyn Clock>,
}

impl Sessions {
    /// Keeps them in `store`.
    pub fn new(
        policy: SessionPolicy,
        store: Arc<dyn Store>,
        issuer: Arc<Issuer>,
        revocations: Arc<Revocations>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { policy, store, issuer, revocations, clock }
    }
}

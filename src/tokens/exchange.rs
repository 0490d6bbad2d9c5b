//! Exchanging tokens (RFC 8693).

use std::sync::Arc;

use super::{Issuer, Verifier};
use crate::{access::TrustedIssuers, clock::Clock};

/// Exchanges tokens.
#[derive(Debug)]
pub struct Exchanger {
    verifier: Arc<Verifier>,
    trusted: Arc<TrustedIssuers>,
    issuer: Arc<Issuer>,
    clock: Arc<dyn Clock>,
}

impl Exchanger {
    /// Exchanges tokens that `verifier` takes, and those of `trusted` issuers.
    pub fn new(
        verifier: Arc<Verifier>,
        trusted: Arc<TrustedIssuers>,
        issuer: Arc<Issuer>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { verifier, trusted, issuer, clock }
    }
}

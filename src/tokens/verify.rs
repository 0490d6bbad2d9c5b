//! Verifying tokens. Each step refuses for one reason; the order is part of the API:
//! size, form, header (`crit`, content, `alg`, `typ`, `kid`), key (unknown, revoked), algorithm of the key, signature, JSON, claims' types,
//! `iss`, `aud`, `exp`, `nbf` and `iat`, scopes, revocations.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};

use crate::{
    access::VerifyGrant,
    clock::Clock,
    jose::{self, Compact, Header},
    keys::{KeyLookup, KeyRing},
    model::{KeyId, Reason, Refusal, TokenClaims, UnixTime},
    revocations::{Revocations, Stale},
};

/// What steers verifying.
#[derive(Debug, Clone)]
pub struct VerifyPolicy {
    /// The only `iss` that is accepted of this server's own keys.
    pub issuer: String,
    /// The longest token that is looked at, in bytes.
    pub max_token_bytes: usize,
    /// By how much clocks may differ when a request does not say. Whole seconds.
    pub leeway: Duration,
    /// The most that a request may say.
    pub max_leeway: Duration,
    /// How long an answer may be reused.
    pub cache_ttl: Duration,
}

/// A token that may be trusted.
pub(crate) struct VerifiedToken {
    /// Its registered claims.
    pub(crate) claims: TokenClaims,
    /// Every claim.
    pub(crate) members: Map<String, Value>,
    /// The payload as it was signed.
    pub(crate) payload: String,
    /// The audiences that the caller answers for.
    pub(crate) audiences: Vec<String>,
    /// `kid`
    pub(crate) key_id: KeyId,
    /// How long this answer may be reused.
    pub(crate) cache_ttl: Duration,
}

/// Why a token may not be trusted, or why nobody can say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// It is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its key is not in memory, and the store could not be asked for it.
    #[error("the key is not in memory and could not be looked for: {0}")]
    KeyUnavailable(String),
    /// What is revoked has not been known for too long.
    #[error(transparent)]
    Stale(#[from] Stale),
}

/// Verifies tokens from memory.
#[derive(Debug)]
pub struct Verifier {
    policy: VerifyPolicy,
    ring: Arc<KeyRing>,
    revocations: Arc<Revocations>,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// Verifies with the keys of `ring`, but for what is among `revocations`.
    pub fn new(
        policy: VerifyPolicy,
        ring: Arc<KeyRing>,
        revocations: Arc<Revocations>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { policy, ring, revocations, clock }
    }

    /// What steers it.
    pub(crate) const fn policy(&self) -> &VerifyPolicy {
        &self.policy
    }

    /// Verifies the token that `grant` allows the caller to ask about.
    pub(crate) async fn verify(&self, grant: &VerifyGrant) -> Result<VerifiedToken, VerifyError> {
        let token = Compact::parse(grant.token(), self.policy.max_token_bytes)?;
        let header = Header::parse(&token.header)?;
        let key = match self.ring.verification_key(&header.key_id).await {
            KeyLookup::Found(key) => key,
            KeyLookup::Unknown => {
                return Err(Refusal::new(Reason::KeyUnknown, "the token's key is not known here").into());
            }
            KeyLookup::Revoked => {
                return Err(Refusal::new(Reason::Revoked, "the key that signed the token was revoked").into());
            }
            KeyLookup::Unavailable(problem) => return Err(VerifyError::KeyUnavailable(problem)),
        };
        if header.algorithm != key.algorithm {
            let detail = "the token's algorithm is not the algorithm of its key";
            return Err(Refusal::new(Reason::AlgorithmNotAllowed, detail).into());
        }
        key.verifier().verify(token.signing_input, &token.signature)?;

        // From here on the text is ours, or of somebody who shares a secret with us; the reading stays strict.
        let members = jose::object(&token.payload).map_err(|_| {
            Refusal::new(Reason::Malformed, "the token's payload is not a strict JSON object")
        })?;
        let payload = String::from_utf8(token.payload)
            .map_err(|_| Refusal::new(Reason::Malformed, "the token's payload is not UTF-8"))?;
        let claims = jose::read_claims(&members)?;
        let now = self.clock.now();
        let issuer = key.issuer.as_deref().unwrap_or(&self.policy.issuer);
        let audiences = self.check(&claims, issuer, grant, now)?;
        if self.revocations.refuse(&claims)? {
            return Err(Refusal::new(Reason::Revoked, "the token was revoked").into());
        }
        let cache_ttl = claims.expire_time.since(now).min(self.policy.cache_ttl);
        Ok(VerifiedToken { claims, members, payload, audiences, key_id: key.key_id.clone(), cache_ttl })
    }

    /// Compares the claims with whose key it is, who asks, and what time it is. Answers the audiences that matched.
    fn check(
        &self,
        claims: &TokenClaims,
        issuer: &str,
        grant: &VerifyGrant,
        now: UnixTime,
    ) -> Result<Vec<String>, Refusal> {
        if claims.issuer != issuer {
            return Err(Refusal::new(Reason::IssuerMismatch, "the token was issued by somebody else"));
        }
        let matched: Vec<String> =
            claims.audiences.iter().filter(|audience| grant.answers_for(audience)).cloned().collect();
        if matched.is_empty() {
            return Err(Refusal::new(Reason::AudienceMismatch, "the token is for other audiences"));
        }
        let leeway = grant.leeway().unwrap_or(self.policy.leeway);
        // RFC 7519 section 4.1.4: on or after `exp` it must not be accepted.
        if now.minus(leeway) >= claims.expire_time {
            return Err(Refusal::new(Reason::Expired, "the token has expired"));
        }
        let begins = claims.not_before_time.into_iter().chain(claims.issue_time).max();
        if begins.is_some_and(|begins| begins.minus(leeway) > now) {
            return Err(Refusal::new(Reason::NotYetValid, "the token is not valid yet"));
        }
        if !grant.required_scopes().iter().all(|scope| claims.scopes.contains(scope)) {
            return Err(Refusal::new(Reason::ScopeInsufficient, "the token lacks a required scope"));
        }
        Ok(matched)
    }
}

//! Verifying tokens. Each step refuses for one reason; the order is part of the API:
//! size, form, header (`crit`, content, `alg`, `typ`, `kid`), key (unknown, revoked), algorithm of the key, signature, JSON, claims' types,
//! `iss`, own `jti`, the issuers that the caller accepts, `aud`, `exp`, `nbf` and `iat`, scopes, revocations.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};

use super::cache::TokenCache;
use crate::{
    access::VerifyGrant,
    clock::Clock,
    jose::{self, Compact, ForeignHeader, Header},
    keys::{CLOCK_MARGIN, KeyLookup, KeyRing, RingKey},
    model::{Algorithm, KeyId, Reason, Refusal, TokenClaims, UnixTime, is_revocable},
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
    /// How many bytes the verified-token cache may take; 0 turns it off.
    pub cache_bytes: u64,
}

/// A token that may be trusted.
pub(crate) struct VerifiedToken {
    /// The token.
    pub(crate) token: Arc<KnownToken>,
    /// The audiences that the caller answers for: their places in `token.claims.audiences`.
    pub(crate) audiences: Vec<usize>,
    /// How long this answer may be reused.
    pub(crate) cache_ttl: Duration,
}

/// An [examined](ExaminedToken) token in the form that VerifyToken needs each time it is presented.
pub(crate) struct KnownToken {
    /// Its registered claims.
    pub(crate) claims: TokenClaims,
    /// Its claims as responses carry them.
    pub(crate) encoded: EncodedClaims,
    /// The key that verified it.
    pub(super) key: Arc<RingKey>,
    /// Whether it was issued here, and not by the owner of a key that was imported.
    is_own: bool,
}

impl KnownToken {
    /// `kid`
    pub(crate) fn key_id(&self) -> &KeyId {
        &self.key.key_id
    }
}

/// The claims of a token in each form that responses carry, encoded once.
pub(crate) struct EncodedClaims {
    /// The registered claims as a message.
    pub(crate) token_claims: Box<[u8]>,
    /// Every claim as a `google.protobuf.Struct`.
    pub(crate) claims: Box<[u8]>,
    /// The payload as it was signed.
    pub(crate) claims_json: Box<[u8]>,
}

/// Encodes the claims of a token; the wire format is the transport's.
pub(crate) type EncodeClaims = fn(&ExaminedToken) -> EncodedClaims;

/// A token whose signature is good and whose claims were read. Whether it is good now, and for the caller, is not known yet.
pub(crate) struct ExaminedToken {
    /// Its registered claims.
    pub(crate) claims: TokenClaims,
    /// Every claim.
    pub(crate) members: Map<String, Value>,
    /// The payload as it was signed.
    pub(crate) payload: String,
    /// The key that verified it.
    pub(super) key: Arc<RingKey>,
    /// Whether it was issued here, and not by the owner of a key that was imported.
    pub(super) is_own: bool,
}

/// Why a token may not be trusted, or why nobody can say.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum VerifyError {
    /// It is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its key is not in memory. Whether the store has it, only [a look-up](Verifier::look_up_keys) tells.
    #[error("the token's key is not in memory")]
    KeyNotInMemory,
    /// Its key is not in memory, and the store could not be read; or this replica cannot use the key.
    #[error("the token's key is not available: {0}")]
    KeyUnavailable(String),
    /// What is revoked has not been known for too long.
    #[error(transparent)]
    Stale(#[from] Stale),
}

impl VerifyError {
    /// What the error means of a token that was verified again after [a look-up](Verifier::look_up_keys): a key that is still not in
    /// memory does not exist.
    pub(crate) fn after_lookup(self) -> Self {
        match self {
            Self::KeyNotInMemory => {
                Refusal::new(Reason::KeyUnknown, "the token's key is not known here").into()
            }
            error => error,
        }
    }
}

/// Verifies tokens from memory. Nothing but `look_up_keys` waits for the store.
#[derive(Debug)]
pub struct Verifier {
    policy: VerifyPolicy,
    ring: Arc<KeyRing>,
    revocations: Arc<Revocations>,
    clock: Arc<dyn Clock>,
    cache: Arc<TokenCache>,
    encode: EncodeClaims,
}

impl Verifier {
    /// Verifies with the keys of `ring`, but for what is among `revocations`. Responses carry claims as `encode` encodes them.
    pub(crate) fn new(
        policy: VerifyPolicy,
        ring: Arc<KeyRing>,
        revocations: Arc<Revocations>,
        clock: Arc<dyn Clock>,
        encode: EncodeClaims,
    ) -> Self {
        let cache = Arc::new(TokenCache::new(policy.cache_bytes));
        Self { policy, ring, revocations, clock, cache, encode }
    }

    /// What steers it.
    pub(crate) const fn policy(&self) -> &VerifyPolicy {
        &self.policy
    }

    /// Waits until every key that the store had when this was called is in memory. The caller must hold no permit of work that needs
    /// memory alone.
    pub(crate) async fn look_up_keys(&self) -> Result<(), VerifyError> {
        self.ring.look_up().await.map_err(VerifyError::KeyUnavailable)
    }

    /// The cached token with this text, if its key is still in the ring: verifying it costs no signature check.
    pub(crate) fn cached(&self, token: &str) -> Option<Arc<KnownToken>> {
        self.cache.get(token, |known| self.ring.holds(&known.key))
    }

    /// Verifies the token that `grant` allows the caller to ask about.
    pub(crate) fn verify(&self, grant: &VerifyGrant) -> Result<VerifiedToken, VerifyError> {
        let examined = self.examine(grant.token())?;
        let encoded = (self.encode)(&examined);
        let ExaminedToken { claims, key, is_own, .. } = examined;
        let known = Arc::new(KnownToken { claims, encoded, key, is_own });
        let verified = self.verify_known(grant, known, self.now())?;
        // Only now: a token that is refused takes no room from those that are not.
        self.cache.insert(grant.token(), &verified.token);
        Ok(verified)
    }

    /// What time it is, for [`Self::verify_known`]: read once for all tokens of a call.
    pub(crate) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Verifies a [cached](Self::cached) token: all that depends on the caller, the time and the revocations is checked each time.
    pub(crate) fn verify_known(
        &self,
        grant: &VerifyGrant,
        token: Arc<KnownToken>,
        now: UnixTime,
    ) -> Result<VerifiedToken, VerifyError> {
        let claims = &token.claims;
        if !grant.accepts_issuer(&claims.issuer, token.is_own) {
            let detail = "the caller does not accept tokens of this issuer";
            return Err(Refusal::new(Reason::IssuerMismatch, detail).into());
        }
        let matches = |(_, audience): &(usize, &String)| grant.answers_for(audience);
        let matching = claims.audiences.iter().enumerate().filter(matches);
        let audiences: Vec<usize> = matching.map(|(index, _)| index).collect();
        if audiences.is_empty() {
            let token = claims.audiences.iter().map(String::as_str);
            return Err(Refusal::other_audience(token, grant.expected_audiences()).into());
        }
        check_times(claims, token.key.verifies_only, now, grant.leeway().unwrap_or(self.policy.leeway))?;
        if !grant.required_scopes().iter().all(|scope| claims.scopes.contains(scope)) {
            return Err(Refusal::new(Reason::ScopeInsufficient, "the token lacks a required scope").into());
        }
        self.check_revoked(claims, token.is_own, now)?;
        let cache_ttl = claims.expire_time.since(now).min(self.policy.cache_ttl);
        Ok(VerifiedToken { token, audiences, cache_ttl })
    }

    /// The verified-token cache, for its metrics.
    pub(crate) const fn cache(&self) -> &Arc<TokenCache> {
        &self.cache
    }

    /// All that is asked of a token whoever asks: from its size to its issuer. There is no other way to a token's claims. What is
    /// left to ask is for whom it is, [when](Self::check_good), and whether it was revoked.
    pub(super) fn examine(&self, token: &str) -> Result<ExaminedToken, VerifyError> {
        let token = Compact::parse(token, self.policy.max_token_bytes)?;
        // Of tokens that were issued here, the header is the very text that its key writes.
        let (key, algorithm) = match self.ring.key_of_header(token.header_segment) {
            Some(key) => (Arc::clone(&key), key.algorithm),
            None => match Header::parse(&token.header) {
                Ok(header) => (self.key(&header.key_id)?, header.algorithm),
                Err(refusal) => self.foreign_key(&token)?.ok_or(refusal)?,
            },
        };
        if algorithm != key.algorithm {
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
        let claims = if key.verifies_only {
            jose::read_foreign_claims(&members, key.issuer.is_none())?
        } else {
            jose::read_claims(&members)?
        };
        if claims.issuer != key.issuer.as_deref().unwrap_or(&self.policy.issuer) {
            let detail = "the token was issued by somebody else";
            return Err(Refusal::new(Reason::IssuerMismatch, detail).into());
        }
        let is_own = claims.issuer == self.policy.issuer;
        // RevokeToken could not name it. One without `jti` is revoked by its session, its subject, its client or its key.
        if is_own && claims.jwt_id.as_deref().is_some_and(|jwt_id| !is_revocable(jwt_id)) {
            let detail =
                "the token's `jti` is none that can be revoked: it must be 1 to 255 bytes without U+0000";
            return Err(Refusal::new(Reason::ClaimInvalid, detail).into());
        }
        Ok(ExaminedToken { claims, members, payload, key, is_own })
    }

    fn key(&self, key_id: &str) -> Result<Arc<RingKey>, VerifyError> {
        match self.ring.verification_key(key_id) {
            KeyLookup::Found(key) => Ok(key),
            KeyLookup::NotInMemory => Err(VerifyError::KeyNotInMemory),
            KeyLookup::Revoked => {
                Err(Refusal::new(Reason::Revoked, "the key that signed the token was revoked").into())
            }
            KeyLookup::Unusable(problem) => Err(VerifyError::KeyUnavailable(problem)),
        }
    }

    /// The key for a token whose header tokend does not write: a key that was imported to verify, whose tokens are read by the foreign
    /// profile. Without `kid` it is the only one of the issuer that the token names and of its algorithm: a name that is not proved yet
    /// may choose among keys that are here, and nothing else. None if the token is not of the foreign profile either.
    fn foreign_key(&self, token: &Compact<'_>) -> Result<Option<(Arc<RingKey>, Algorithm)>, VerifyError> {
        let header = match ForeignHeader::parse(&token.header) {
            Ok(header) if header.check_type(&[]).is_ok() => header,
            _ => return Ok(None),
        };
        let key = match &header.key_id {
            Some(key_id) => self.key(key_id)?,
            None => {
                let members = jose::object(&token.payload).ok();
                let issuer = members.as_ref().and_then(|members| members.get("iss")).and_then(Value::as_str);
                let Some(issuer) = issuer else { return Ok(None) };
                let issuer = (issuer != self.policy.issuer).then_some(issuer);
                let keys = self.ring.verifying_only(issuer, header.algorithm);
                match <[_; 1]>::try_from(keys) {
                    Ok([only]) => only,
                    Err(keys) if keys.is_empty() => return Err(VerifyError::KeyNotInMemory),
                    Err(_) => {
                        let detail =
                            "the token names no key (`kid`), and its issuer has several for its algorithm";
                        return Err(Refusal::new(Reason::KeyUnknown, detail).into());
                    }
                }
            }
        };
        Ok(key.verifies_only.then_some((key, header.algorithm)))
    }

    /// Whether an examined token is good now and was not revoked. For whom it is, the caller has looked at before.
    pub(super) fn check_good(&self, token: &ExaminedToken) -> Result<(), VerifyError> {
        let now = self.now();
        check_times(&token.claims, token.key.verifies_only, now, self.policy.leeway)?;
        self.check_revoked(&token.claims, token.is_own, now)
    }

    /// Whether a token with these claims was not revoked. `is_own`: it was issued here.
    pub(super) fn check_revoked(
        &self,
        claims: &TokenClaims,
        is_own: bool,
        now: UnixTime,
    ) -> Result<(), VerifyError> {
        if self.revocations.refuse(claims, is_own, now)? {
            return Err(Refusal::new(Reason::Revoked, "the token was revoked").into());
        }
        Ok(())
    }
}

/// Compares a token's times with what time it is, on clocks that differ by up to `leeway`.
fn check_times(
    claims: &TokenClaims,
    is_foreign: bool,
    now: UnixTime,
    leeway: Duration,
) -> Result<(), Refusal> {
    let TokenClaims { expire_time, not_before_time, issue_time, .. } = claims;
    // RFC 7519 section 4.1.4: on or after `exp` it must not be accepted.
    if now.minus(leeway) >= *expire_time {
        return Err(Refusal::expired(*expire_time));
    }
    // A replica whose clock is ahead issues tokens that are good at once. A later `nbf` was asked for, and is waited for.
    let issue_leeway = if is_foreign { leeway } else { leeway.max(CLOCK_MARGIN) };
    let not_before_time = not_before_time.filter(|begins| is_foreign || Some(*begins) > *issue_time);
    if issue_time.is_some_and(|issued| issued.minus(issue_leeway) > now)
        || not_before_time.is_some_and(|begins| begins.minus(leeway) > now)
    {
        return Err(Refusal::new(Reason::NotYetValid, "the token is not valid yet"));
    }
    Ok(())
}

//! Verifies tokens. Each step refuses for one reason, and the order is part of the API:
//! size, form, header (`crit`, content, `alg`, `typ`, `kid`), key (unknown, revoked), algorithm of the key, signature, JSON, claims' types,
//! `iss`, own `jti`, the issuers that the caller accepts, `aud`, `exp`, `nbf` and `iat`, scopes, revocations.

use std::{sync::Arc, time::Duration};

use super::cache::TokenCache;
use crate::{
    access::VerifyGrant,
    clock::Clock,
    jose::{self, Compact, ForeignHeader, Header, JsonObject, JsonValue},
    keys::{KeyLookup, KeyRing, RingKey},
    model::{Algorithm, InvalidToken, KeyId, Reason, TokenClaims, UnixTime, bounded_list},
    revocations::{Revocations, Stale},
};

/// Settings of verification.
#[derive(Debug, Clone)]
pub struct VerifyPolicy {
    /// The only `iss` that is accepted of this server's own keys.
    pub issuer: String,
    /// The longest accepted token, in bytes.
    pub max_token_bytes: usize,
    /// The clock difference without a request. Whole seconds.
    pub leeway: Duration,
    /// The largest clock difference of a request.
    pub max_leeway: Duration,
    /// How long callers may cache a response.
    pub cache_ttl: Duration,
    /// The size of the verified-token cache in bytes; 0 turns it off.
    pub cache_bytes: u64,
}

/// A valid token.
pub(crate) struct VerifiedToken {
    pub(crate) token: Arc<KnownToken>,
    /// The indexes of the caller's audiences in `token.claims.audiences`.
    pub(crate) audiences: Vec<usize>,
    /// How long the caller may cache the response.
    pub(crate) cache_ttl: Duration,
}

/// An [examined](ExaminedToken) token in the form of the verified-token cache.
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

/// The claims of a token in each form that responses carry, encoded once: the fields of the response, one after the other.
pub(crate) struct EncodedClaims {
    /// The fields `token_claims`, `claims` and `claims_json`.
    pub(crate) fields: Box<[u8]>,
    /// The offset at which `claims` begins.
    pub(crate) claims_at: usize,
    /// The offset at which `claims_json` begins.
    pub(crate) claims_json_at: usize,
}

/// Encodes the claims of a token; the wire format is the transport's.
pub(crate) type EncodeClaims = fn(&TokenClaims, &Payload<'_>) -> EncodedClaims;

/// The payload of a token whose signature is good.
pub(crate) struct Payload<'p> {
    /// The text that was signed.
    pub(crate) text: &'p str,
    /// Every claim.
    pub(crate) members: JsonObject<'p>,
}

/// A token with a valid signature. Its times, its audience and its revocation are not checked yet.
pub(crate) struct ExaminedToken<P = ()> {
    /// Its registered claims.
    pub(crate) claims: TokenClaims,
    /// The part of its payload that is needed.
    pub(crate) payload: P,
    /// The key that verified it.
    pub(super) key: Arc<RingKey>,
    /// Whether it was issued here, and not by the owner of a key that was imported.
    pub(super) is_own: bool,
}

/// Why a token is not accepted, or cannot be verified.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error(transparent)]
    Refused(#[from] InvalidToken),
    /// The key is not in memory; [a look-up](Verifier::look_up_keys) may find it.
    #[error("the token's key is not in memory")]
    KeyNotInMemory,
    /// The key is not in memory and the store failed, or this replica cannot use the key.
    #[error("the token's key is not available: {0}")]
    KeyUnavailable(String),
    #[error(transparent)]
    Stale(#[from] Stale),
}

impl VerifyError {
    /// The error after [a look-up](Verifier::look_up_keys): a key that is still not in memory does not exist.
    pub(crate) fn after_lookup(self) -> Self {
        match self {
            Self::KeyNotInMemory => {
                InvalidToken::new(Reason::KeyUnknown, "the token's key is not known here").into()
            }
            error => error,
        }
    }
}

/// Verifies tokens from memory. Only `look_up_keys` waits for the store.
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
    /// Verifies with the keys of `ring` and with `revocations`. `encode` encodes claims for responses.
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

    /// The settings.
    pub(crate) const fn policy(&self) -> &VerifyPolicy {
        &self.policy
    }

    /// Waits until every key that the store has now is in memory. The caller must hold no permit of a class that reads memory only.
    pub(crate) async fn look_up_keys(&self) -> Result<(), VerifyError> {
        self.ring.look_up().await.map_err(VerifyError::KeyUnavailable)
    }

    /// The cached token with this text, if its key is still in the ring: verifying it costs no signature check.
    pub(crate) fn cached(&self, token: &str) -> Option<Arc<KnownToken>> {
        self.cache.get(token, |known| self.ring.holds(&known.key))
    }

    /// Verifies the token of `grant`.
    pub(crate) fn verify(&self, grant: &VerifyGrant) -> Result<VerifiedToken, VerifyError> {
        let ExaminedToken { claims, payload: encoded, key, is_own } =
            self.examine(grant.token(), |claims, payload| (self.encode)(claims, &payload))?;
        let known = Arc::new(KnownToken { claims, encoded, key, is_own });
        let verified = self.verify_known(grant, known, self.now())?;
        // A refused token is not cached, and evicts no valid ones.
        self.cache.insert(grant.token(), &verified.token);
        Ok(verified)
    }

    /// The time for [`Self::verify_known`], read once for all tokens of a call.
    pub(crate) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Verifies a [cached](Self::cached) token: checks all that depends on the caller, the time and the revocations.
    pub(crate) fn verify_known(
        &self,
        grant: &VerifyGrant,
        token: Arc<KnownToken>,
        now: UnixTime,
    ) -> Result<VerifiedToken, VerifyError> {
        let claims = &token.claims;
        if !grant.accepts_issuer(&claims.issuer, token.is_own) {
            let detail = "the caller does not accept tokens of this issuer";
            return Err(InvalidToken::new(Reason::IssuerMismatch, detail).into());
        }
        let matches = |(_, audience): &(usize, &String)| grant.has_audience(audience);
        let matching = claims.audiences.iter().enumerate().filter(matches);
        let audiences: Vec<usize> = matching.map(|(index, _)| index).collect();
        if audiences.is_empty() {
            let token = bounded_list(claims.audiences.iter().map(String::as_str));
            let expected = bounded_list(grant.expected_audiences());
            let metadata = vec![("token_audiences", token), ("expected_audiences", expected)];
            let mismatch = InvalidToken::new(Reason::AudienceMismatch, "the token is for other audiences");
            return Err(InvalidToken { metadata, ..mismatch }.into());
        }
        jose::check_times(
            claims,
            token.key.verifies_only,
            now,
            grant.leeway().unwrap_or(self.policy.leeway),
        )?;
        jose::check_scopes(claims, grant.required_scopes())?;
        self.check_revoked(claims, token.is_own, now)?;
        let cache_ttl = claims.expire_time.since(now).min(self.policy.cache_ttl);
        Ok(VerifiedToken { token, audiences, cache_ttl })
    }

    /// The verified-token cache, for its metrics.
    pub(crate) const fn cache(&self) -> &Arc<TokenCache> {
        &self.cache
    }

    /// Checks what does not depend on the caller and the time, from the size to the issuer. There is no other way to a token's claims.
    /// Its audience, its times and its revocation remain to be [checked](Self::check_good).
    /// `keep` takes the required part of the payload.
    pub(super) fn examine<P>(
        &self,
        token: &str,
        keep: impl FnOnce(&TokenClaims, Payload<'_>) -> P,
    ) -> Result<ExaminedToken<P>, VerifyError> {
        let token = Compact::parse(token, self.policy.max_token_bytes)?;
        // The header of a token that was issued here is the exact text that its key writes.
        let (key, algorithm) = match self.ring.key_of_header(token.header_segment) {
            Some(key) => (Arc::clone(&key), key.algorithm),
            None => match Header::parse(&token.header) {
                Ok(header) => (self.key(&header.key_id)?, header.algorithm),
                Err(refusal) => self.foreign_key(&token)?.ok_or(refusal)?,
            },
        };
        if algorithm != key.algorithm {
            let detail = "the token's algorithm is not the algorithm of its key";
            return Err(InvalidToken::new(Reason::AlgorithmNotAllowed, detail).into());
        }
        key.verifier().verify(token.signing_input, &token.signature)?;

        // From here on the text is from a key holder; parsing stays strict.
        let (text, members) = token.claims()?;
        let claims = if key.verifies_only {
            jose::read_foreign_claims(&members, key.issuer.is_none())?
        } else {
            jose::read_claims(&members)?
        };
        if claims.issuer != key.issuer.as_deref().unwrap_or(&self.policy.issuer) {
            let detail = "the token was issued by another issuer";
            return Err(InvalidToken::new(Reason::IssuerMismatch, detail).into());
        }
        let is_own = claims.issuer == self.policy.issuer;
        if is_own {
            jose::check_jwt_id(&claims)?;
        }
        let payload = keep(&claims, Payload { text, members });
        Ok(ExaminedToken { claims, payload, key, is_own })
    }

    fn key(&self, key_id: &str) -> Result<Arc<RingKey>, VerifyError> {
        match self.ring.verification_key(key_id) {
            KeyLookup::Found(key) => Ok(key),
            KeyLookup::NotInMemory => Err(VerifyError::KeyNotInMemory),
            KeyLookup::Revoked => {
                Err(InvalidToken::new(Reason::Revoked, "the key that signed the token was revoked").into())
            }
            KeyLookup::Unusable(problem) => Err(VerifyError::KeyUnavailable(problem)),
        }
    }

    /// The imported verification key of a token of the foreign profile. Without `kid` it is the only key of the token's issuer and
    /// algorithm: the unverified issuer selects among keys in memory, and nothing else. Returns `None` if the token is not of the foreign
    /// profile.
    fn foreign_key(&self, token: &Compact<'_>) -> Result<Option<(Arc<RingKey>, Algorithm)>, VerifyError> {
        let header = match ForeignHeader::parse(&token.header) {
            Ok(header) if header.check_type(&[]).is_ok() => header,
            _ => return Ok(None),
        };
        let key = match &header.key_id {
            Some(key_id) => self.key(key_id)?,
            None => {
                let claims = token.claims().ok();
                let issuer =
                    claims.as_ref().and_then(|(_, claims)| claims.get("iss")).and_then(JsonValue::as_str);
                let Some(issuer) = issuer else { return Ok(None) };
                let issuer = (issuer != self.policy.issuer).then_some(issuer);
                let keys = self.ring.verifying_only(issuer, header.algorithm);
                match <[_; 1]>::try_from(keys) {
                    Ok([only]) => only,
                    Err(keys) if keys.is_empty() => return Err(VerifyError::KeyNotInMemory),
                    Err(_) => {
                        let detail =
                            "the token names no key (`kid`), and its issuer has several for its algorithm";
                        return Err(InvalidToken::new(Reason::KeyUnknown, detail).into());
                    }
                }
            }
        };
        Ok(key.verifies_only.then_some((key, header.algorithm)))
    }

    /// Checks the times and the revocation of an examined token. The caller has checked the audience.
    pub(super) fn check_good<P>(&self, token: &ExaminedToken<P>) -> Result<(), VerifyError> {
        let now = self.now();
        jose::check_times(&token.claims, token.key.verifies_only, now, self.policy.leeway)?;
        self.check_revoked(&token.claims, token.is_own, now)
    }

    /// Checks that a token with these claims is not revoked. `is_own`: it was issued here.
    pub(super) fn check_revoked(
        &self,
        claims: &TokenClaims,
        is_own: bool,
        now: UnixTime,
    ) -> Result<(), VerifyError> {
        if self.revocations.is_revoked(claims, is_own, now)? {
            return Err(InvalidToken::new(Reason::Revoked, "the token was revoked").into());
        }
        Ok(())
    }
}

//! JWTs that callers present, as credentials or for exchange: parsing, and the checks of a trusted issuer's token.

use std::time::Duration;

use super::{TrustedIssuerSettings, trusted_issuers::IssuerKeys};
use crate::{
    jose::{self, Compact, ForeignHeader, JsonObject, JsonValue, SetLookup},
    model::{ClaimCondition, InvalidToken, Reason, TokenClaims, UnixTime},
};

/// A parsed JWT whose signature is not verified.
pub(super) struct UnverifiedJwt<'t> {
    text: &'t str,
    compact: Compact<'t>,
    pub(super) header: ForeignHeader,
    members: JsonObject<'static>,
}

/// A JWT whose signature is verified, with every claim.
pub(crate) struct VerifiedJwt {
    /// The registered claims.
    pub(crate) claims: TokenClaims,
    /// All claims.
    pub(crate) members: JsonObject<'static>,
}

impl<'t> UnverifiedJwt<'t> {
    /// Parses a token of at most `max_bytes`, strictly.
    pub(super) fn parse(text: &'t str, max_bytes: usize) -> Result<Self, InvalidToken> {
        let compact = Compact::parse(text, max_bytes)?;
        let header = ForeignHeader::parse(&compact.header)?;
        let members = compact.claims()?.1.into_owned();
        Ok(Self { text, compact, header, members })
    }

    /// The unverified `iss`: it selects the keys that verify the token, and nothing else.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.members.get("iss").and_then(JsonValue::as_str)
    }

    pub(super) const fn signing_input(&self) -> &[u8] {
        self.compact.signing_input
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.compact.signature
    }

    /// Reads the claims, after the signature was verified.
    pub(super) fn into_verified(self) -> Result<VerifiedJwt, InvalidToken> {
        Ok(VerifiedJwt { claims: jose::read_foreign_claims(&self.members, false)?, members: self.members })
    }

    /// Verifies a token of a trusted issuer at `now`.
    pub(super) fn verify(
        self,
        issuer: &TrustedIssuerSettings,
        keys: &IssuerKeys,
        leeway: Duration,
        now: UnixTime,
    ) -> Result<VerifiedJwt, InvalidToken> {
        let key = match keys.set.find(self.header.key_id.as_deref(), self.header.algorithm) {
            SetLookup::Found(key) => key,
            SetLookup::OtherAlgorithm => {
                let detail = "the token's algorithm is not an algorithm of its key";
                return Err(InvalidToken::new(Reason::AlgorithmNotAllowed, detail));
            }
            SetLookup::Unknown => {
                let detail = "the token's key is not a key of its issuer; without `kid` there must be exactly one for its algorithm";
                return Err(InvalidToken::new(Reason::KeyUnknown, detail));
            }
        };
        // The trusted issuers and their keys are no secret, so that the response time need not hide them.
        if !keys.verifies(self.text, || key.verifies(self.signing_input(), self.signature())) {
            return Err(InvalidToken::new(Reason::SignatureInvalid, "the token's signature does not verify"));
        }
        self.header.check_type(&issuer.token_types)?;
        let token = self.into_verified()?;
        // The `iss` that selected the keys was read before the signature was verified.
        if token.claims.issuer != issuer.issuer {
            return Err(InvalidToken::new(Reason::IssuerMismatch, "the token was issued by another issuer"));
        }
        token.check_times(now, leeway)?;
        Ok(token)
    }
}

impl VerifiedJwt {
    /// Whether the claim that `condition` names matches it.
    pub(super) fn meets(&self, condition: &ClaimCondition) -> bool {
        let claim = if condition.claim.starts_with('/') {
            self.members.pointer(&condition.claim)
        } else {
            self.members.get(&condition.claim)
        };
        let matches = |text: &str| condition.values.iter().any(|pattern| pattern.matches(text));
        match claim {
            Some(JsonValue::String(text)) => matches(text),
            Some(JsonValue::Number(number)) => matches(&number.to_string()),
            Some(JsonValue::Bool(value)) => matches(&value.to_string()),
            // A condition does not say whether one element of a list must match or all.
            Some(JsonValue::Null | JsonValue::Array(_) | JsonValue::Object(_)) | None => false,
        }
    }

    /// Checks `exp`, `nbf` and `iat`, for clocks that differ by at most `leeway`.
    pub(super) fn check_times(&self, now: UnixTime, leeway: Duration) -> Result<(), InvalidToken> {
        let TokenClaims { expire_time, not_before_time, issue_time, .. } = &self.claims;
        // RFC 7519 section 4.1.4: on or after `exp` it must not be accepted.
        if now.minus(leeway) >= *expire_time {
            return Err(InvalidToken::new(Reason::Expired, "the token has expired"));
        }
        let begins = not_before_time.iter().chain(issue_time).max();
        if begins.is_some_and(|begins| begins.minus(leeway) > now) {
            return Err(InvalidToken::new(Reason::NotYetValid, "the token is not valid yet"));
        }
        Ok(())
    }
}

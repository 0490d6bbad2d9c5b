//! Tokens that callers present: taken apart, and their signatures checked. What holds for each kind is in `assertion.rs` and
//! `workload.rs`.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{
    jose::{self, Compact, ForeignHeader},
    model::{Reason, Refusal, TokenClaims, UnixTime},
};

/// A token whose signature nobody has checked.
pub(in crate::access) struct UnprovenToken<'t> {
    text: &'t str,
    compact: Compact<'t>,
    pub(in crate::access) header: ForeignHeader,
    members: Map<String, Value>,
}

/// A token whose signature is good, with every claim.
pub(in crate::access) struct SignedToken {
    pub(in crate::access) claims: TokenClaims,
    pub(in crate::access) members: Map<String, Value>,
}

impl<'t> UnprovenToken<'t> {
    /// Takes a token of up to `max_bytes` apart, strictly.
    pub(in crate::access) fn parse(text: &'t str, max_bytes: usize) -> Result<Self, Refusal> {
        let compact = Compact::parse(text, max_bytes)?;
        let header = ForeignHeader::parse(&compact.header)?;
        let members = jose::object(&compact.payload).map_err(|_| {
            Refusal::new(Reason::Malformed, "the token's payload is not a strict JSON object")
        })?;
        Ok(Self { text, compact, header, members })
    }

    /// Who is said to have issued it: chooses with whose keys it is checked, and nothing else.
    pub(in crate::access) fn issuer(&self) -> Option<&str> {
        self.members.get("iss").and_then(Value::as_str)
    }

    /// The whole token.
    pub(in crate::access) const fn text(&self) -> &str {
        self.text
    }

    /// What is signed.
    pub(in crate::access) const fn message(&self) -> &[u8] {
        self.compact.signing_input
    }

    /// The signature.
    pub(in crate::access) fn signature(&self) -> &[u8] {
        &self.compact.signature
    }

    /// The claims, for the one who has checked the signature.
    pub(in crate::access) fn into_signed(self) -> Result<SignedToken, Refusal> {
        Ok(SignedToken { claims: jose::read_foreign_claims(&self.members, false)?, members: self.members })
    }
}

impl SignedToken {
    /// What a JSON pointer (RFC 6901) into the claims leads to.
    pub(in crate::access) fn pointed_at(&self, pointer: &str) -> Option<&Value> {
        let mut parts =
            pointer.strip_prefix('/')?.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
        let outermost = self.members.get(&parts.next()?)?;
        parts.try_fold(outermost, |value, part| match value {
            Value::Object(members) => members.get(&part),
            Value::Array(values) => values.get(part.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Whether the token is good at `now`, by clocks that differ by up to `leeway`.
    pub(in crate::access) fn check_times(&self, now: UnixTime, leeway: Duration) -> Result<(), Refusal> {
        let TokenClaims { expire_time, not_before_time, issue_time, .. } = &self.claims;
        // RFC 7519 section 4.1.4: on or after `exp` it must not be accepted.
        if now.minus(leeway) >= *expire_time {
            return Err(Refusal::new(Reason::Expired, "the token has expired"));
        }
        let begins = not_before_time.iter().chain(issue_time).max();
        if begins.is_some_and(|begins| begins.minus(leeway) > now) {
            return Err(Refusal::new(Reason::NotYetValid, "the token is not valid yet"));
        }
        Ok(())
    }
}

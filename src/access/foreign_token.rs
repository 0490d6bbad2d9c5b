//! Tokens of trusted issuers, for whoever wants to know what they say. They are checked as those that stand for callers are.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{
    authenticate::{UnprovenToken, check_issued},
    trusted_issuers::{KeysMissing, TrustedIssuers},
};
use crate::model::{Refusal, TokenClaims, UnixTime};

/// A token of a trusted issuer, which is good.
pub(crate) struct ForeignToken {
    /// Its registered claims.
    pub(crate) claims: TokenClaims,
    /// Every claim.
    pub(crate) members: Map<String, Value>,
}

/// Why a token of a trusted issuer is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForeignTokenError {
    /// It is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its key is not in memory. Whether the issuer has it, only [a fetch](TrustedIssuers::fetch) tells.
    #[error("the token's key is not among the keys of `{0}` in memory")]
    KeyNotInMemory(String),
    /// There are no keys to check it with.
    #[error("the keys of the trusted issuer `{0}` are not there")]
    KeysMissing(String),
}

impl TrustedIssuers {
    /// The token, if a trusted issuer is named in it and it is good at `now`, by clocks that differ by up to `leeway`. None if
    /// nothing in it names such an issuer: then it may be anything. From memory; `is_fetched` says whether an issuer's keys were
    /// fetched for this token.
    ///
    /// # Errors
    /// When it is refused, or nobody can say.
    pub(crate) fn token(
        &self,
        text: &str,
        max_bytes: usize,
        leeway: Duration,
        now: UnixTime,
        is_fetched: impl Fn(&str) -> bool,
    ) -> Result<Option<ForeignToken>, ForeignTokenError> {
        let Ok(token) = UnprovenToken::parse(text, max_bytes) else { return Ok(None) };
        // An unproven name: it chooses with whose keys the token is checked, of those that operators named.
        let Some(issuer) = token.issuer().map(str::to_owned) else { return Ok(None) };
        let Some(trusted) = self.find(&issuer) else { return Ok(None) };
        let held = match trusted.known(token.header.key_id.as_deref(), token.header.algorithm) {
            Some(held) => held,
            None if !is_fetched(&issuer) => return Err(ForeignTokenError::KeyNotInMemory(issuer)),
            None => trusted.held().ok_or_else(|| ForeignTokenError::KeysMissing(issuer.clone()))?,
        };
        let signed = check_issued(token, &trusted.settings, &held, leeway, now)?;
        Ok(Some(ForeignToken { claims: signed.claims, members: signed.members }))
    }

    /// Fetches the issuer's keys unless that was done just now, and waits for them.
    ///
    /// # Errors
    /// When too many calls wait for them.
    pub(crate) async fn fetch(&self, issuer: &str) -> Result<(), KeysMissing> {
        match self.find(issuer) {
            Some(trusted) => trusted.look().await,
            None => Ok(()),
        }
    }
}

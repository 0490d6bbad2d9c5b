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
    /// There are no keys to check it with.
    #[error("the keys of the trusted issuer `{0}` are not there")]
    KeysMissing(String),
}

impl TrustedIssuers {
    /// The token, if a trusted issuer is named in it and it is good at `now`, by clocks that differ by up to `leeway`. None if
    /// nothing in it names such an issuer: then it may be anything.
    ///
    /// # Errors
    /// When it is refused, or nobody can say.
    pub(crate) async fn token(
        &self,
        text: &str,
        leeway: Duration,
        now: UnixTime,
    ) -> Result<Option<ForeignToken>, ForeignTokenError> {
        let Ok(token) = UnprovenToken::parse(text) else { return Ok(None) };
        // An unproven name: it chooses with whose keys the token is checked, of those that operators named.
        let Some(issuer) = token.issuer().map(str::to_owned) else { return Ok(None) };
        let Some(trusted) = self.find(&issuer) else { return Ok(None) };
        let held = trusted.keys(token.header.key_id.as_deref(), token.header.algorithm).await;
        let held = held.map_err(|KeysMissing| ForeignTokenError::KeysMissing(issuer.clone()))?;
        let signed = check_issued(token, &issuer, &held.keys, leeway, now)?;
        Ok(Some(ForeignToken { claims: signed.claims, members: signed.members }))
    }
}

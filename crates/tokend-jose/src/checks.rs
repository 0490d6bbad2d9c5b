//! The checks of claims that a server and its verifiers share, so that both judge a token alike.

use std::time::Duration;

use crate::{InvalidToken, Reason, TokenClaims, UnixTime};

/// The clock difference of two replicas (up to a minute), plus the time in which a replica loads a change from the store (up to a
/// minute). It is added wherever times of two replicas are compared.
pub const CLOCK_MARGIN: Duration = Duration::from_secs(120);

/// Whether a token can be revoked by this id: 1 to 255 bytes without a zero byte, which PostgreSQL does not store.
pub fn is_revocable(jwt_id: &str) -> bool {
    (1..=255).contains(&jwt_id.len()) && !jwt_id.contains('\0')
}

/// Checks that a token of this issuer can be revoked by its `jti`, if it has one. RevokeToken could not name the token. A token without
/// `jti` can be revoked by its session, its subject, its client or its key.
///
/// # Errors
/// With the reason [`Reason::ClaimInvalid`].
pub fn check_jwt_id(claims: &TokenClaims) -> Result<(), InvalidToken> {
    if claims.jwt_id.as_deref().is_some_and(|jwt_id| !is_revocable(jwt_id)) {
        let detail = "the token's `jti` cannot be revoked: it must be 1 to 255 bytes without U+0000";
        return Err(InvalidToken::new(Reason::ClaimInvalid, detail));
    }
    Ok(())
}

/// Checks a token's times, for clocks that differ by at most `leeway`. `is_foreign`: tokend did not issue the token.
///
/// # Errors
/// With the reason [`Reason::Expired`] or [`Reason::NotYetValid`].
pub fn check_times(
    claims: &TokenClaims,
    is_foreign: bool,
    now: UnixTime,
    leeway: Duration,
) -> Result<(), InvalidToken> {
    let TokenClaims { expire_time, not_before_time, issue_time, .. } = claims;
    // RFC 7519 section 4.1.4: on or after `exp` it must not be accepted.
    if now.minus(leeway) >= *expire_time {
        return Err(InvalidToken::expired(*expire_time));
    }
    // Tokens of a replica with a fast clock are valid at once. A later `nbf` was requested, and counts.
    let issue_leeway = if is_foreign { leeway } else { leeway.max(CLOCK_MARGIN) };
    let not_before_time = not_before_time.filter(|begins| is_foreign || Some(*begins) > *issue_time);
    if issue_time.is_some_and(|issued| issued.minus(issue_leeway) > now)
        || not_before_time.is_some_and(|begins| begins.minus(leeway) > now)
    {
        return Err(InvalidToken::new(Reason::NotYetValid, "the token is not valid yet"));
    }
    Ok(())
}

/// Checks that a token has every required scope.
///
/// # Errors
/// With the reason [`Reason::ScopeInsufficient`].
pub fn check_scopes(claims: &TokenClaims, required: &[String]) -> Result<(), InvalidToken> {
    if required.iter().all(|scope| claims.scopes.contains(scope)) {
        return Ok(());
    }
    Err(InvalidToken::new(Reason::ScopeInsufficient, "the token lacks a required scope"))
}

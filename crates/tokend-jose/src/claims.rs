//! The registered claims of a token whose signature is valid.

use crate::{InvalidToken, JsonObject, JsonValue, Reason, UnixTime};

/// The registered claims of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// `aud`, never empty
    pub audiences: Vec<String>,
    /// `exp`
    pub expire_time: UnixTime,
    /// `nbf`
    pub not_before_time: Option<UnixTime>,
    /// `iat`
    pub issue_time: Option<UnixTime>,
    /// `jti`
    pub jwt_id: Option<String>,
    /// `client_id`
    pub client_id: Option<String>,
    /// `scope`, split at spaces
    pub scopes: Vec<String>,
    /// `act`
    pub actor: Option<Actor>,
    /// `sid`
    pub session_id: Option<String>,
    /// `orig_iat`: the issue time of the first token in a chain of refreshes and exchanges
    pub origin_time: Option<UnixTime>,
}

impl TokenClaims {
    /// The issue time of the token, or of the first token in its chain of refreshes and exchanges, if that is earlier.
    pub fn first_issue_time(&self) -> Option<UnixTime> {
        let issued = self.issue_time?;
        Some(self.origin_time.map_or(issued, |origin| origin.min(issued)))
    }
}

/// An actor (`act`, RFC 8693 section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `iss`: the issuer of the subject; none for the issuer of the token.
    pub issuer: Option<String>,
    /// `sub`
    pub subject: String,
    /// `act` inside it
    pub actor: Option<Box<Self>>,
}

impl Actor {
    /// The same actors, each with an issuer: `issuer`, if it has none.
    pub fn of_issuer(self, issuer: &str) -> Self {
        Self {
            issuer: self.issuer.or_else(|| Some(issuer.to_owned())),
            subject: self.subject,
            actor: self.actor.map(|before| Box::new(before.of_issuer(issuer))),
        }
    }

    /// The actor, then the previous actors.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |actor| actor.actor.as_deref())
    }
}

/// Reads the registered claims, each with the type of RFC 7519 section 4.1. `iss`, `sub`, `aud` and `exp` are required.
///
/// # Errors
/// With the reason [`Reason::ClaimInvalid`].
pub fn read_claims(members: &JsonObject<'_>) -> Result<TokenClaims, InvalidToken> {
    Ok(TokenClaims {
        issuer: required(text(members, "iss")?)?,
        subject: required(text(members, "sub")?.filter(|subject| !subject.is_empty()))?,
        audiences: audiences(members.get("aud"))?,
        expire_time: required(time(members, "exp")?)?,
        not_before_time: time(members, "nbf")?,
        issue_time: time(members, "iat")?,
        jwt_id: text(members, "jti")?,
        client_id: text(members, "client_id")?,
        scopes: text(members, "scope")?
            .map(|scope| scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect())
            .unwrap_or_default(),
        actor: members.get("act").map(actor).transpose()?,
        session_id: text(members, "sid")?,
        origin_time: time(members, "orig_iat")?,
    })
}

const fn invalid(detail: &'static str) -> InvalidToken {
    InvalidToken::new(Reason::ClaimInvalid, detail)
}

pub(super) fn required<T>(claim: Option<T>) -> Result<T, InvalidToken> {
    claim.ok_or(invalid("the token lacks one of the claims iss, sub, aud and exp"))
}

pub(super) fn text(members: &JsonObject<'_>, name: &str) -> Result<Option<String>, InvalidToken> {
    match members.get(name) {
        None => Ok(None),
        Some(JsonValue::String(text)) => Ok(Some(text.clone().into_owned())),
        Some(_) => Err(invalid("a claim of the token is not a string, as it must be")),
    }
}

/// A NumericDate (RFC 7519 section 2) in seconds. A fraction is truncated like that of the clock with which the time is compared, so that
/// a past time is never in the future.
pub(super) fn time(members: &JsonObject<'_>, name: &str) -> Result<Option<UnixTime>, InvalidToken> {
    const WRONG: InvalidToken = invalid("a time in the token is not a number of seconds since 1970");
    let Some(value) = members.get(name) else { return Ok(None) };
    let JsonValue::Number(number) = value else { return Err(WRONG) };
    let seconds = match number.as_i64() {
        Some(seconds) => seconds,
        None => whole(number.as_f64().ok_or(WRONG)?.floor()).ok_or(WRONG)?,
    };
    if (0..=UnixTime::MAX.seconds()).contains(&seconds) {
        Ok(Some(UnixTime::from_seconds(seconds)))
    } else {
        Err(WRONG)
    }
}

/// A whole double as an integer, within the range where doubles count exactly.
fn whole(seconds: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within the range of i64")]
    (seconds.abs() <= EXACT).then_some(seconds as i64)
}

/// One string, or several (RFC 7519 section 4.1.3).
pub(super) fn audiences(claim: Option<&JsonValue<'_>>) -> Result<Vec<String>, InvalidToken> {
    const WRONG: InvalidToken = invalid("the token's audience is neither a string nor a list of strings");
    match claim {
        Some(JsonValue::String(audience)) => Ok(vec![audience.clone().into_owned()]),
        Some(JsonValue::Array(audiences)) if !audiences.is_empty() => {
            audiences.iter().map(|audience| audience.as_str().map(str::to_owned).ok_or(WRONG)).collect()
        }
        Some(_) => Err(WRONG),
        None => required(None),
    }
}

/// The actors. Their number is bounded by the depth of the JSON.
pub(super) fn actor(claim: &JsonValue<'_>) -> Result<Actor, InvalidToken> {
    const WRONG: InvalidToken = invalid("the token's actor is not an object with a subject");
    let JsonValue::Object(members) = claim else { return Err(WRONG) };
    Ok(Actor {
        issuer: text(members, "iss")?,
        subject: text(members, "sub")?.ok_or(WRONG)?,
        actor: members.get("act").map(actor).transpose()?.map(Box::new),
    })
}

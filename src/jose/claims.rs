//! Reading the claims of a payload whose signature is already known to be good.

use serde_json::{Map, Value};

use crate::model::{Actor, Reason, Refusal, TokenClaims, UnixTime};

/// Reads the registered claims, each of the type that RFC 7519 section 4.1 gives it. `iss`, `sub`, `aud` and `exp` must be
/// there.
pub(crate) fn read_claims(members: &Map<String, Value>) -> Result<TokenClaims, Refusal> {
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

const fn invalid(detail: &'static str) -> Refusal {
    Refusal::new(Reason::ClaimInvalid, detail)
}

pub(super) fn required<T>(claim: Option<T>) -> Result<T, Refusal> {
    claim.ok_or(invalid("the token lacks one of the claims iss, sub, aud and exp"))
}

pub(super) fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid("a claim of the token is not a string, as it must be")),
    }
}

/// A NumericDate (RFC 7519 section 2): seconds, which may have a fraction. It is cut off, as it is of the clock with which the time is
/// compared: an instant that has passed is never in the future.
pub(super) fn time(members: &Map<String, Value>, name: &str) -> Result<Option<UnixTime>, Refusal> {
    const WRONG: Refusal = invalid("a time in the token is not a number of seconds since 1970");
    let Some(value) = members.get(name) else { return Ok(None) };
    let Value::Number(number) = value else { return Err(WRONG) };
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
pub(super) fn audiences(claim: Option<&Value>) -> Result<Vec<String>, Refusal> {
    const WRONG: Refusal = invalid("the token's audience is neither a string nor a list of strings");
    match claim {
        Some(Value::String(audience)) => Ok(vec![audience.clone()]),
        Some(Value::Array(audiences)) if !audiences.is_empty() => {
            audiences.iter().map(|audience| audience.as_str().map(str::to_owned).ok_or(WRONG)).collect()
        }
        Some(_) => Err(WRONG),
        None => required(None),
    }
}

/// Who acts, and for whom they act in turn. As deep as JSON may be nested, which is bounded.
pub(super) fn actor(claim: &Value) -> Result<Actor, Refusal> {
    const WRONG: Refusal = invalid("the token's actor is not an object with a subject");
    let Value::Object(members) = claim else { return Err(WRONG) };
    Ok(Actor {
        issuer: text(members, "iss")?,
        subject: text(members, "sub")?.ok_or(WRONG)?,
        actor: members.get("act").map(actor).transpose()?.map(Box::new),
    })
}

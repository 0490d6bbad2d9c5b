//! The profile of tokens of other issuers: the requirements of the RFCs on a JWT, not the form that tokend writes.
//!
//! A token that is verified with an imported key, is exchanged, or is a trusted issuer's credential is read by this profile. Beyond the
//! profile of tokend's own tokens it accepts: an absent `kid` or `typ`; the types in `TYPES`; `cty: JWT`; an absent `sub`; `null` for
//! `sub`, `nbf`, `iat` and `jti`; `scope` as an array (any other form grants nothing); `client_id`, `sid`, `orig_iat` and `act` of any
//! form. Every other check is the same.

use super::{
    claims::{actor, audiences, required, text, time},
    header::{self, UNKNOWN_CONTENT, understood},
};
use crate::{Algorithm, InvalidToken, JsonObject, JsonValue, Reason, TokenClaims};

/// The types of token that are accepted besides an absent one, as [`ForeignHeader::token_type`] has them: RFC 7519 section 5.1,
/// RFC 9068 section 2.1, and JWT-SVID section 2.3 (`JOSE`). Any other type may be a token that means something else.
const TYPES: [&str; 3] = ["jwt", "at+jwt", "jose"];

/// The members of a header that are used. `kid` selects a key; the other members are compared with that key.
#[derive(Debug)]
pub struct ForeignHeader {
    /// `alg`
    pub algorithm: Algorithm,
    /// `kid`
    pub key_id: Option<String>,
    /// `typ` as [`media_type`] writes it.
    pub token_type: Option<String>,
}

impl ForeignHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// When the header is malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidToken> {
        let members = understood(bytes)?;
        let content_type = header::text(&members, "cty", UNKNOWN_CONTENT.detail)?;
        if content_type.is_some_and(|name| media_type(&name) != "jwt") {
            return Err(UNKNOWN_CONTENT);
        }
        Ok(Self {
            algorithm: header::algorithm(&members)?,
            key_id: header::text(&members, "kid", "the token's key id is not a string")?,
            token_type: header::text(&members, "typ", "the token's type is not a string")?
                .map(|name| media_type(&name)),
        })
    }

    /// Checks that the type is in the profile, or one of `more`, which an operator accepts from the issuer.
    ///
    /// # Errors
    /// With the reason [`Reason::TypeMismatch`].
    pub fn check_type(&self, more: &[String]) -> Result<(), InvalidToken> {
        match &self.token_type {
            Some(name) if !TYPES.contains(&name.as_str()) && !more.contains(name) => {
                let detail = "the token's type (`typ`) is not accepted from other issuers";
                Err(InvalidToken::new(Reason::TypeMismatch, detail))
            }
            _ => Ok(()),
        }
    }
}

/// The name of a media type in lower case, without `application/` (RFC 7515 section 4.1.9).
pub fn media_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("application/").map(str::to_owned).unwrap_or(name)
}

/// Reads the claims of a token of another issuer. `iss`, `aud` and `exp` are required; `sub` is empty if the token has none. With
/// `is_own` false, `client_id`, `sid`, `orig_iat` and `act` are read if they have tokend's form, and ignored otherwise: they mean what
/// their issuer means by them. With `is_own` true another form is an error, because tokens of this issuer are revoked by these claims.
pub fn read_foreign_claims(members: &JsonObject<'_>, is_own: bool) -> Result<TokenClaims, InvalidToken> {
    Ok(TokenClaims {
        issuer: required(text(members, "iss")?)?,
        subject: null_as_absent(members, "sub", text(members, "sub"))?.unwrap_or_default(),
        audiences: audiences(members.get("aud"))?,
        expire_time: required(time(members, "exp")?)?,
        not_before_time: null_as_absent(members, "nbf", time(members, "nbf"))?,
        issue_time: null_as_absent(members, "iat", time(members, "iat"))?,
        jwt_id: null_as_absent(members, "jti", text(members, "jti"))?,
        client_id: private(text(members, "client_id"), is_own)?,
        scopes: scopes(members.get("scope")),
        actor: private(members.get("act").map(actor).transpose(), is_own)?,
        session_id: private(text(members, "sid"), is_own)?,
        origin_time: private(time(members, "orig_iat"), is_own)?,
    })
}

/// Reads a claim of which `null` means that it is absent.
fn null_as_absent<T>(
    members: &JsonObject<'_>,
    name: &str,
    read: Result<Option<T>, InvalidToken>,
) -> Result<Option<T>, InvalidToken> {
    if members.get(name).is_some_and(|value| *value == JsonValue::Null) { Ok(None) } else { read }
}

fn private<T>(claim: Result<Option<T>, InvalidToken>, is_own: bool) -> Result<Option<T>, InvalidToken> {
    if is_own { claim } else { Ok(claim.unwrap_or_default()) }
}

/// `scope` as one string (RFC 8693 section 4.2) or as a list of strings, which many issuers write. Any other form grants nothing.
fn scopes(claim: Option<&JsonValue<'_>>) -> Vec<String> {
    let words = |text: &str| text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    match claim {
        Some(JsonValue::String(text)) => words(text),
        Some(JsonValue::Array(list)) => {
            let texts: Option<Vec<&str>> = list.iter().map(JsonValue::as_str).collect();
            texts.unwrap_or_default().into_iter().flat_map(|text| -> Vec<String> { words(text) }).collect()
        }
        _ => Vec::new(),
    }
}

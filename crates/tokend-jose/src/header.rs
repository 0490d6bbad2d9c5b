//! The JOSE header (RFC 7515 section 4) of tokens of tokend. `foreign.rs` reads headers of other issuers' tokens.

use crate::{Algorithm, InvalidToken, JsonObject, JsonValue, Reason, TokenType};

/// The members of a header that are used. `kid` selects a key; the other members are compared with that key.
#[derive(Debug)]
pub struct Header {
    /// `alg`
    pub algorithm: Algorithm,
    /// `kid`
    pub key_id: String,
}

/// Members that change the meaning of the payload: compression, encryption, unencoded content (RFC 7797). Members that refer to keys
/// (`jku`, `jwk`, `x5u`, `x5c`) are ignored.
const CONTENT_CHANGING: [&str; 3] = ["zip", "enc", "b64"];

pub(super) const UNKNOWN_CONTENT: InvalidToken =
    InvalidToken::new(Reason::Malformed, "the token's payload is encoded in an unknown way");

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// When the header is malformed, or is not one that tokend writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidToken> {
        let members = understood(bytes)?;
        if members.get("cty").is_some() {
            return Err(UNKNOWN_CONTENT);
        }
        let algorithm = algorithm(&members)?;
        match members.get("typ") {
            Some(JsonValue::String(name)) if name.parse::<TokenType>().is_ok() => {}
            _ => {
                return Err(InvalidToken::new(
                    Reason::TypeMismatch,
                    "the token is not of a type that is issued here",
                ));
            }
        }
        match text(&members, "kid", "the token's key id is not a string")? {
            Some(key_id) => Ok(Self { algorithm, key_id }),
            None => Err(InvalidToken::new(Reason::KeyUnknown, "the token names no key")),
        }
    }
}

/// The members of a header without extensions that must be understood (RFC 7515 section 4.1.11).
pub(super) fn understood(bytes: &[u8]) -> Result<JsonObject<'_>, InvalidToken> {
    const MALFORMED: InvalidToken =
        InvalidToken::new(Reason::Malformed, "the token's header is not a JSON object");
    let text = str::from_utf8(bytes).map_err(|_| MALFORMED)?;
    let members = JsonObject::parse(text).map_err(|_| MALFORMED)?;
    if members.get("crit").is_some() {
        return Err(InvalidToken::new(Reason::CriticalHeader, "the token's header demands extensions"));
    }
    if CONTENT_CHANGING.iter().any(|name| members.get(name).is_some()) {
        return Err(UNKNOWN_CONTENT);
    }
    Ok(members)
}

pub(super) fn algorithm(members: &JsonObject<'_>) -> Result<Algorithm, InvalidToken> {
    match members.get("alg") {
        Some(JsonValue::String(name)) => name.parse().map_err(|_| {
            InvalidToken::new(Reason::AlgorithmNotAllowed, "the token's algorithm is none that tokend uses")
        }),
        _ => Err(InvalidToken::new(Reason::Malformed, "the token's header names no algorithm")),
    }
}

pub(super) fn text(
    members: &JsonObject<'_>,
    name: &str,
    problem: &'static str,
) -> Result<Option<String>, InvalidToken> {
    match members.get(name) {
        None => Ok(None),
        Some(JsonValue::String(text)) => Ok(Some(text.clone().into_owned())),
        Some(_) => Err(InvalidToken::new(Reason::Malformed, problem)),
    }
}

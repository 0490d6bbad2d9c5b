//! The JOSE header (RFC 7515 section 4), read for three members and refused for some others. Of other issuers' tokens, `foreign.rs` reads it.

use serde_json::{Map, Value};

use super::json;
use crate::model::{Algorithm, Reason, Refusal, TokenType};

/// What a header says that matters. It decides nothing: `kid` names a key, and the rest is compared with that key.
#[derive(Debug)]
pub(crate) struct Header {
    /// `alg`
    pub(crate) algorithm: Algorithm,
    /// `kid`
    pub(crate) key_id: String,
}

/// Members that change what the payload is: compression, encryption, unencoded content. Where a key might be found (`jku`, `jwk`,
/// `x5u`, `x5c`) is never read at all.
const CONTENT_CHANGING: [&str; 3] = ["zip", "enc", "b64"];

pub(super) const UNKNOWN_CONTENT: Refusal =
    Refusal::new(Reason::Malformed, "the token's payload is encoded in an unknown way");

impl Header {
    /// Reads a header.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let members = understood(bytes)?;
        if members.contains_key("cty") {
            return Err(UNKNOWN_CONTENT);
        }
        let algorithm = algorithm(&members)?;
        match members.get("typ") {
            Some(Value::String(name)) if name.parse::<TokenType>().is_ok() => {}
            _ => {
                return Err(Refusal::new(
                    Reason::TypeMismatch,
                    "the token is not of a type that is issued here",
                ));
            }
        }
        match text(&members, "kid", "the token's key id is not a string")? {
            Some(key_id) => Ok(Self { algorithm, key_id }),
            None => Err(Refusal::new(Reason::KeyUnknown, "the token names no key")),
        }
    }
}

/// The header's members, if there is none that must be understood and is not.
pub(super) fn understood(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let members = json::object(bytes)
        .map_err(|_| Refusal::new(Reason::Malformed, "the token's header is not a JSON object"))?;
    if members.contains_key("crit") {
        return Err(Refusal::new(Reason::CriticalHeader, "the token's header demands extensions"));
    }
    if CONTENT_CHANGING.iter().any(|name| members.contains_key(*name)) {
        return Err(UNKNOWN_CONTENT);
    }
    Ok(members)
}

pub(super) fn algorithm(members: &Map<String, Value>) -> Result<Algorithm, Refusal> {
    match members.get("alg") {
        Some(Value::String(name)) => name.parse().map_err(|_| {
            Refusal::new(Reason::AlgorithmNotAllowed, "the token's algorithm is none that tokend uses")
        }),
        _ => Err(Refusal::new(Reason::Malformed, "the token's header names no algorithm")),
    }
}

pub(super) fn text(
    members: &Map<String, Value>,
    name: &str,
    problem: &'static str,
) -> Result<Option<String>, Refusal> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::new(Reason::Malformed, problem)),
    }
}

//! The JOSE header (RFC 7515 section 4), read for three members and refused for some others.

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

/// The header of a token that somebody else issued, who need not write `kid` and `typ`.
#[derive(Debug)]
pub(crate) struct ForeignHeader {
    /// `alg`
    pub(crate) algorithm: Algorithm,
    /// `kid`
    pub(crate) key_id: Option<String>,
    /// `typ` in lower case and without `application/` before it (RFC 7515 section 4.1.9).
    pub(crate) token_type: Option<String>,
}

/// Members that change what the payload is: compression, encryption, unencoded or nested content. tokend writes none
/// of them. Where a key might be found (`jku`, `jwk`, `x5u`, `x5c`) is never read at all.
const CONTENT_CHANGING: [&str; 4] = ["zip", "enc", "b64", "cty"];

impl Header {
    /// Reads a header.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let members = understood(bytes)?;
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

impl ForeignHeader {
    /// Reads a header.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let members = understood(bytes)?;
        let token_type = text(&members, "typ", "the token's type is not a string")?.map(|name| {
            let name = name.to_ascii_lowercase();
            name.strip_prefix("application/").map(str::to_owned).unwrap_or(name)
        });
        Ok(Self {
            algorithm: algorithm(&members)?,
            key_id: text(&members, "kid", "the token's key id is not a string")?,
            token_type,
        })
    }
}

/// The header's members, if there is none that must be understood and is not.
fn understood(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let members = json::object(bytes)
        .map_err(|_| Refusal::new(Reason::Malformed, "the token's header is not a JSON object"))?;
    if members.contains_key("crit") {
        return Err(Refusal::new(Reason::CriticalHeader, "the token's header demands extensions"));
    }
    if CONTENT_CHANGING.iter().any(|name| members.contains_key(*name)) {
        return Err(Refusal::new(Reason::Malformed, "the token's payload is encoded in an unknown way"));
    }
    Ok(members)
}

fn algorithm(members: &Map<String, Value>) -> Result<Algorithm, Refusal> {
    match members.get("alg") {
        Some(Value::String(name)) => name.parse().map_err(|_| {
            Refusal::new(Reason::AlgorithmNotAllowed, "the token's algorithm is none that tokend uses")
        }),
        _ => Err(Refusal::new(Reason::Malformed, "the token's header names no algorithm")),
    }
}

fn text(members: &Map<String, Value>, name: &str, problem: &'static str) -> Result<Option<String>, Refusal> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::new(Reason::Malformed, problem)),
    }
}

//! The JOSE header (RFC 7515 section 4), read for three members and refused for some others.

use serde_json::Value;

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

/// Members that change what the payload is: compression, encryption, unencoded or nested content. tokend writes none
/// of them. Where a key might be found (`jku`, `jwk`, `x5u`, `x5c`) is never read at all.
const CONTENT_CHANGING: [&str; 4] = ["zip", "enc", "b64", "cty"];

impl Header {
    /// Reads a header.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let members = json::object(bytes)
            .map_err(|_| Refusal::new(Reason::Malformed, "the token's header is not a JSON object"))?;
        if members.contains_key("crit") {
            return Err(Refusal::new(Reason::CriticalHeader, "the token's header demands extensions"));
        }
        if CONTENT_CHANGING.iter().any(|name| members.contains_key(*name)) {
            return Err(Refusal::new(Reason::Malformed, "the token's payload is encoded in an unknown way"));
        }
        let algorithm = match members.get("alg") {
            Some(Value::String(name)) => name.parse().map_err(|_| {
                Refusal::new(Reason::AlgorithmNotAllowed, "the token's algorithm is none that tokend uses")
            })?,
            _ => return Err(Refusal::new(Reason::Malformed, "the token's header names no algorithm")),
        };
        match members.get("typ") {
            Some(Value::String(name)) if name.parse::<TokenType>().is_ok() => {}
            _ => {
                return Err(Refusal::new(
                    Reason::TypeMismatch,
                    "the token is not of a type that is issued here",
                ));
            }
        }
        let key_id = match members.get("kid") {
            Some(Value::String(key_id)) => key_id.clone(),
            Some(_) => return Err(Refusal::new(Reason::Malformed, "the token's key id is not a string")),
            None => return Err(Refusal::new(Reason::KeyUnknown, "the token names no key")),
        };
        Ok(Self { algorithm, key_id })
    }
}

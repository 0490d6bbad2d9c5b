//! The compact serialisation (RFC 7515 section 7.1), split strictly.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::model::{Algorithm, KeyId, Reason, Refusal, TokenType};

/// A token in its three parts, decoded, with nothing of them believed yet.
#[derive(Debug)]
pub(crate) struct Compact<'t> {
    /// The JOSE header's octets.
    pub(crate) header: Vec<u8>,
    /// What the signature is over: both first parts as they came.
    pub(crate) signing_input: &'t [u8],
    /// The payload's octets. Not to be read before the signature was checked.
    pub(crate) payload: Vec<u8>,
    /// The signature's octets.
    pub(crate) signature: Vec<u8>,
}

impl<'t> Compact<'t> {
    /// Splits `token`: exactly three parts of canonical base64url without padding, white space or unused bits that
    /// are set (RFC 7515 section 2, RFC 4648 section 3.5), so that a token has one spelling only. A token longer than
    /// `max_bytes` is refused before any of it is looked at.
    pub(crate) fn parse(token: &'t str, max_bytes: usize) -> Result<Self, Refusal> {
        if token.len() > max_bytes {
            return Err(Refusal::new(
                Reason::TooLarge,
                "the token is longer than max_token_bytes of the server",
            ));
        }
        const MALFORMED: Refusal =
            Refusal::new(Reason::Malformed, "the token is not a JWS in compact serialisation");
        let (signing_input, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let (header, payload) = signing_input.split_once('.').ok_or(MALFORMED)?;
        if payload.contains('.') {
            return Err(MALFORMED);
        }
        // The engine refuses foreign characters, padding and unused bits; a further dot is a foreign character.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| MALFORMED);
        Ok(Self {
            header: decode(header)?,
            signing_input: signing_input.as_bytes(),
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }
}

/// The header part of every token that this key signs, ready to be joined: exactly `alg`, `kid` and `typ`.
pub(crate) fn encode_header(algorithm: Algorithm, key_id: &KeyId, token_type: TokenType) -> String {
    // Neither an algorithm's name, nor a key id, nor a type holds what must be escaped in JSON.
    let json = format!(r#"{{"alg":"{algorithm}","kid":"{key_id}","typ":"{}"}}"#, token_type.name());
    URL_SAFE_NO_PAD.encode(json)
}

/// Joins an encoded header and a payload, and has `sign` add the signature over both.
pub(crate) fn join<E>(
    header: &str,
    payload: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<String, E> {
    // Most signatures are 86 characters; the longest, of ML-DSA-87, 6,170.
    let mut token = String::with_capacity(header.len() + payload.len() / 3 * 4 + 128);
    token.push_str(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

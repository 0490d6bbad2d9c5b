//! Writes tokens in the compact serialisation (RFC 7515 section 7.1).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Header;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Algorithm, KeyId, TokenType};

/// The header segment of the tokens that a key signs: exactly `alg`, `kid` and `typ`. A key encodes it once.
pub fn encode_header(algorithm: Algorithm, key_id: &KeyId, token_type: TokenType) -> String {
    let (kid, typ) = (key_id.as_str().to_owned(), token_type.name().to_owned());
    let header = match jsonwebtoken::Algorithm::try_from(algorithm) {
        Ok(algorithm) => sorted(&Header { kid: Some(kid), typ: Some(typ), ..Header::new(algorithm) }),
        Err(_) => json!({ "alg": algorithm.name(), "kid": kid, "typ": typ }),
    };
    URL_SAFE_NO_PAD.encode(header.to_string())
}

/// Joins a header segment and a payload, and has `sign` add the signature over both.
pub fn join<E>(
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

/// A value as JSON whose members are in lexicographic order, as `serde_json::Map` keeps them. The bytes of headers and JWKs must not
/// depend on the order of a struct's fields: published keys have an entity tag, and RFC 7638 requires this order.
///
/// Headers and JWKs hold strings only, so they always serialise; every reader rejects `null`.
pub(super) fn sorted(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_the_three_members_in_lexicographic_order() {
        for (algorithm, token_type, header) in [
            (Algorithm::Es256, TokenType::Jwt, r#"{"alg":"ES256","kid":"key-1","typ":"JWT"}"#),
            (Algorithm::Es256, TokenType::AccessTokenJwt, r#"{"alg":"ES256","kid":"key-1","typ":"at+jwt"}"#),
            (Algorithm::MlDsa44, TokenType::Jwt, r#"{"alg":"ML-DSA-44","kid":"key-1","typ":"JWT"}"#),
        ] {
            let encoded = encode_header(algorithm, &KeyId::from_text("key-1"), token_type);
            assert_eq!(encoded, URL_SAFE_NO_PAD.encode(header));
        }
    }
}

//! The JWS compact serialisation (RFC 7515 section 7.1), parsed strictly.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{InvalidToken, JsonObject, Reason};

/// The three decoded parts of a token. Nothing is verified yet. It has no `Debug`: it is the token.
pub struct Compact<'t> {
    /// The JOSE header, still encoded.
    pub header_segment: &'t str,
    /// The bytes of the JOSE header.
    pub header: Vec<u8>,
    /// The JWS signing input (RFC 7515 section 2): the first two parts, still encoded.
    pub signing_input: &'t [u8],
    /// The bytes of the payload. Verify the signature before you read them.
    pub payload: Vec<u8>,
    /// The bytes of the signature.
    pub signature: Vec<u8>,
}

impl<'t> Compact<'t> {
    /// Splits `token`: exactly three parts of canonical base64url without padding, white space or unused bits that are set (RFC 7515
    /// section 2, RFC 4648 section 3.5), so that a token has one encoding only. A token longer than `max_bytes` is rejected first.
    ///
    /// # Errors
    /// With the reason [`Reason::TooLarge`] or [`Reason::Malformed`].
    pub fn parse(token: &'t str, max_bytes: usize) -> Result<Self, InvalidToken> {
        if token.len() > max_bytes {
            return Err(InvalidToken::new(
                Reason::TooLarge,
                "the token is longer than max_token_bytes of the server",
            ));
        }
        const MALFORMED: InvalidToken =
            InvalidToken::new(Reason::Malformed, "the token is not a JWS in compact serialisation");
        let (signing_input, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let (header, payload) = signing_input.split_once('.').ok_or(MALFORMED)?;
        if payload.contains('.') {
            return Err(MALFORMED);
        }
        // The engine rejects padding, unused bits that are set, and other characters such as a further dot.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| MALFORMED);
        Ok(Self {
            header_segment: header,
            header: decode(header)?,
            signing_input: signing_input.as_bytes(),
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    /// Reads the payload as the claims of a JWT (RFC 7519 section 7.2), and returns it as text, too.
    ///
    /// # Errors
    /// When the payload is not a strict JSON object.
    pub fn claims(&self) -> Result<(&str, JsonObject<'_>), InvalidToken> {
        let text = str::from_utf8(&self.payload).ok();
        let claims = text.and_then(|text| Some((text, JsonObject::parse(text).ok()?)));
        claims.ok_or(InvalidToken::new(Reason::Malformed, "the token's payload is not a strict JSON object"))
    }
}

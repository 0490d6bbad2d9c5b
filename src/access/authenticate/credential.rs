//! Parses the `authorization` value of a call.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::AUTHORIZATION};
use zeroize::Zeroizing;

use super::InvalidCredential;
use crate::model::{AuthenticationMethod, CLIENT_SECRET_PREFIX, ClientId, ClientSecret, SecretDigest};

/// The longest secret in bytes. A longer text is rejected before it is hashed.
const MAX_SECRET: usize = 1024;

/// A parsed `authorization` value.
pub(super) enum Credential<'h> {
    /// A bearer value: its SHA-256, if it may be a client secret, and the value again, if it may be a token.
    Bearer { digest: Option<SecretDigest>, token: Option<&'h str>, text: &'h str },
    /// A client's id and secret.
    Basic { client_id: Zeroizing<String>, digest: SecretDigest },
}

impl<'h> Credential<'h> {
    /// Parses the only `authorization` value: `Bearer` (RFC 6750 section 2.1) or `Basic` (RFC 7617). Schemes are case-insensitive (RFC
    /// 9110 section 11.1). No other header is read: any caller can send a header that names a certificate.
    pub(super) fn parse(
        headers: &'h HeaderMap,
        max_token_bytes: usize,
    ) -> Result<Option<Self>, InvalidCredential> {
        let invalid = |problem| InvalidCredential::new(None, problem);
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(invalid("there are several authorization values"));
        }
        let value = value.to_str().map_err(|_| invalid("the authorization value is not ASCII text"))?;
        let Some((scheme, text)) = value.split_once(' ').filter(|(_, text)| !text.is_empty()) else {
            return Err(invalid("the authorization value is not a scheme with a credential"));
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            Self::bearer(text, max_token_bytes).map(Some)
        } else if scheme.eq_ignore_ascii_case("basic") {
            let problem = "the Basic credential is not a client id and secret in base64";
            let invalid = InvalidCredential::new(Some(AuthenticationMethod::ClientSecret), problem);
            Self::basic(text).map(Some).ok_or(invalid)
        } else {
            Err(invalid("the authorization scheme is neither Bearer nor Basic"))
        }
    }

    /// A secret may be any text, even one with the form of a token.
    fn bearer(text: &'h str, max_token_bytes: usize) -> Result<Self, InvalidCredential> {
        if text.len() > max_token_bytes.max(MAX_SECRET) {
            return Err(InvalidCredential::new(None, "the credential is longer than max_token_bytes"));
        }
        let digest = (text.len() <= MAX_SECRET).then(|| ClientSecret::from_text(text).digest());
        let token = (text.bytes().filter(|byte| *byte == b'.').count() == 2).then_some(text);
        Ok(Self::Bearer { digest, token, text })
    }

    fn basic(text: &str) -> Option<Self> {
        if text.len() > MAX_SECRET {
            return None;
        }
        let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
        let (client_id, secret) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        Some(Self::Basic {
            client_id: Zeroizing::new(client_id.to_owned()),
            digest: ClientSecret::from_text(secret).digest(),
        })
    }

    /// The unverified client id, if the credential is a secret that names one.
    pub(super) fn client_id(&self) -> Option<ClientId> {
        match self {
            Self::Basic { client_id, .. } => ClientId::parse(client_id.as_str()).ok(),
            // After its prefix, a generated secret begins with the client's id, which contains no `_`.
            Self::Bearer { text, .. } => {
                ClientId::parse(text.strip_prefix(CLIENT_SECRET_PREFIX)?.split('_').next()?).ok()
            }
        }
    }
}

//! What came with a call, before any of it is believed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::AUTHORIZATION};
use zeroize::Zeroizing;

use super::failure::Unproven;
use crate::model::{AuthenticationMethod, CLIENT_SECRET_PREFIX, ClientId, ClientSecret, SecretDigest};

/// No secret is longer; a longer one is refused before it is hashed.
const LONGEST_SECRET: usize = 1024;

/// The value of `authorization`.
pub(super) enum Credential<'h> {
    /// A secret that is nobody else's, if it is anybody's; and the token that it would be otherwise.
    Bearer { digest: Option<SecretDigest>, token: Option<&'h str>, text: &'h str },
    /// A client's id and secret.
    Basic { client_id: Zeroizing<String>, digest: SecretDigest },
}

impl<'h> Credential<'h> {
    /// The one `authorization` value: `Bearer` (RFC 6750 section 2.1) or `Basic` (RFC 7617). Schemes are case-insensitive
    /// (RFC 9110 section 11.1). None if there is no value. No other header is ever looked at: what a proxy says of a
    /// certificate, anybody can say.
    pub(super) fn of(headers: &'h HeaderMap, max_token_bytes: usize) -> Result<Option<Self>, Unproven> {
        let unproven = |check| Unproven::new(None, check);
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(unproven("there are several authorization values"));
        }
        let value = value.to_str().map_err(|_| unproven("the authorization value is not ASCII text"))?;
        let Some((scheme, text)) = value.split_once(' ').filter(|(_, text)| !text.is_empty()) else {
            return Err(unproven("the authorization value is no scheme with a credential"));
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            return Self::bearer(text, max_token_bytes).map(Some);
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let secret = |check| Unproven::new(Some(AuthenticationMethod::ClientSecret), check);
            return Self::basic(text)
                .map(Some)
                .ok_or_else(|| secret("the Basic credential is no client id and secret in base64"));
        }
        Err(unproven("the authorization scheme is neither Bearer nor Basic"))
    }

    /// A secret may be any text, and so look like a token: it is looked up first.
    fn bearer(text: &'h str, max_token_bytes: usize) -> Result<Self, Unproven> {
        if text.len() > max_token_bytes.max(LONGEST_SECRET) {
            return Err(Unproven::new(None, "the credential is longer than max_token_bytes"));
        }
        let digest = (text.len() <= LONGEST_SECRET).then(|| ClientSecret::from_text(text).digest());
        let token = (text.bytes().filter(|byte| *byte == b'.').count() == 2).then_some(text);
        Ok(Self::Bearer { digest, token, text })
    }

    fn basic(text: &str) -> Option<Self> {
        if text.len() > LONGEST_SECRET {
            return None;
        }
        let octets = Zeroizing::new(STANDARD.decode(text).ok()?);
        let (client_id, secret) = std::str::from_utf8(&octets).ok()?.split_once(':')?;
        Some(Self::Basic {
            client_id: Zeroizing::new(client_id.to_owned()),
            digest: ClientSecret::from_text(secret).digest(),
        })
    }

    /// The client that it names before anything was checked, if it names one at all. Of a token, its own reader tells.
    pub(super) fn names(&self) -> Option<ClientId> {
        match self {
            Self::Basic { client_id, .. } => ClientId::parse(client_id.as_str()).ok(),
            // Secrets that tokend made begin with the client's id, which holds no `_`.
            Self::Bearer { text, .. } => {
                ClientId::parse(text.strip_prefix(CLIENT_SECRET_PREFIX)?.split('_').next()?).ok()
            }
        }
    }
}

//! From the `authorization` metadata to the caller.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use zeroize::Zeroizing;

use super::Directory;
use crate::{
    clock::Clock,
    model::{AuthenticationMethod, Client, ClientSecret, Peer},
};

/// The client behind one call. It exists only after its credential was checked.
#[derive(Debug, Clone)]
pub struct Caller {
    client: Arc<Client>,
}

impl Caller {
    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The client, for a grant to keep.
    pub(super) const fn shared_client(&self) -> &Arc<Client> {
        &self.client
    }

    /// How it proved who it is.
    pub const fn method(&self) -> AuthenticationMethod {
        AuthenticationMethod::ClientSecret
    }
}

/// Why nobody knows who calls. That is all that a caller is told: an unknown client, a wrong secret and a malformed
/// credential are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationError {
    /// There is no credential.
    #[error("no credential was sent")]
    Missing,
    /// The credential is none of a live client, or there are several.
    #[error("the credential is not valid")]
    Invalid,
}

/// No secret is longer; a longer one is refused before it is hashed.
const LONGEST_CREDENTIAL: usize = 1024;

/// Checks who calls.
#[derive(Debug)]
pub struct Authenticator {
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
}

impl Authenticator {
    /// Checks callers against `directory`.
    pub fn new(directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Self {
        Self { directory, clock }
    }

    /// The caller, by exactly one `authorization` value: `Bearer` and a client secret (RFC 6750 section 2.1), or `Basic`
    /// with the client's id and secret (RFC 7617). Schemes are case-insensitive (RFC 9110 section 11.1).
    ///
    /// # Errors
    /// Missing without any value, else invalid.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        _peer: Option<&Peer>,
    ) -> Result<Caller, AuthenticationError> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or(AuthenticationError::Missing)?;
        if values.next().is_some() {
            return Err(AuthenticationError::Invalid);
        }
        let credential = Credential::parse(value).ok_or(AuthenticationError::Invalid)?;
        let client = self
            .directory
            .find(&credential.secret.digest(), self.clock.now())
            .filter(|client| credential.client_id.as_deref().is_none_or(|id| id == client.client_id.as_str()))
            .ok_or(AuthenticationError::Invalid)?;
        Ok(Caller { client })
    }
}

/// A secret, and for `Basic` whom it is said to belong to.
struct Credential {
    client_id: Option<Zeroizing<String>>,
    secret: ClientSecret,
}

impl Credential {
    fn parse(value: &HeaderValue) -> Option<Self> {
        let value = value.to_str().ok().filter(|value| value.len() <= LONGEST_CREDENTIAL)?;
        let (scheme, credential) = value.split_once(' ')?;
        if credential.is_empty() {
            return None;
        }
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self { client_id: None, secret: ClientSecret::from_text(credential) });
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let octets = Zeroizing::new(STANDARD.decode(credential).ok()?);
            let (client_id, secret) = std::str::from_utf8(&octets).ok()?.split_once(':')?;
            return Some(Self {
                client_id: Some(Zeroizing::new(client_id.to_owned())),
                secret: ClientSecret::from_text(secret),
            });
        }
        None
    }
}

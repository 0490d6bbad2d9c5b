//! Client secrets, which cannot be printed.

use std::fmt;

use zeroize::Zeroizing;

use super::{CLIENT_SECRET_PREFIX, ClientId, SecretDigest};
use crate::random::{self, RandomError};

/// A client secret in plain text. Its memory is erased after use.
#[derive(Clone)]
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// Generates a secret, `tkd_<client id>_<256 random bits>`.
    pub(crate) fn generate(client_id: &ClientId) -> Result<Self, RandomError> {
        let random = Zeroizing::new(random::text::<32>()?);
        Ok(Self(Zeroizing::new(format!("{CLIENT_SECRET_PREFIX}{client_id}_{}", *random))))
    }

    /// A secret that a caller presents, or an operator chose.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The plain text.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The digest that the store keeps.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(redacted)")
    }
}

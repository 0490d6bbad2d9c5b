//! Client secrets: text that cannot be printed, and the hash that is kept of it.

use std::{fmt, hash::Hash};

use aws_lc_rs::{constant_time, digest};
use zeroize::Zeroizing;

use super::{CLIENT_SECRET_PREFIX, ClientId};
use crate::random::{self, RandomError};

/// A client secret in the clear. It lives only while it is checked or shown; its memory is wiped.
#[derive(Clone)]
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// A fresh secret, `tkd_<client id>_<256 random bits>`.
    pub(crate) fn generate(client_id: &ClientId) -> Result<Self, RandomError> {
        let random = Zeroizing::new(random::text::<32>()?);
        Ok(Self(Zeroizing::new(format!("{CLIENT_SECRET_PREFIX}{client_id}_{}", *random))))
    }

    /// A secret that somebody presented or chose.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one who may see it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The hash to keep and to look for.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(redacted)")
    }
}

/// SHA-256 of a client secret. The secret has 256 random bits, so that no slow hash is wanted.
#[derive(Clone, Copy, Eq)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    fn of(secret: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, secret).as_ref());
        Self(bytes)
    }

    /// A digest as the store keeps it.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes, for the store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for SecretDigest {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Hash for SecretDigest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(redacted)")
    }
}

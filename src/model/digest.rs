//! SHA-256 digests that the store keeps in place of secrets, ids and requests.

use std::fmt;

use aws_lc_rs::{
    constant_time,
    digest::{Context, SHA256},
};

use super::ClientId;

/// Defines a digest that is compared in constant time and cannot be printed.
macro_rules! digest {
    ($(#[$doc:meta])+ $name:ident) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Eq)]
        pub struct $name([u8; 32]);

        impl $name {
            /// A digest that the store keeps.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes of the digest.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

digest! {
    /// The digest of a client secret. The secret has 256 random bits, so that no slow hash is needed.
    SecretDigest
}

digest! {
    /// The digest of a refresh token, which has 256 random bits.
    RefreshDigest
}

digest! {
    /// The digest of a client's id and the `jti` of one of its assertions (RFC 7523 section 3).
    AssertionDigest
}

digest! {
    /// The digests of a request's `request_id` and content, 16 bytes each.
    RequestDigest
}

impl SecretDigest {
    /// The digest of a secret.
    pub(super) fn of(secret: &[u8]) -> Self {
        Self(sha256(&[secret]))
    }
}

impl std::hash::Hash for SecretDigest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl RefreshDigest {
    /// The digest of a token's bytes.
    pub(crate) fn of(token: &[u8]) -> Self {
        Self(sha256(&[token]))
    }
}

impl AssertionDigest {
    /// The digest for this `jti` of this client.
    pub fn of(client_id: &ClientId, jwt_id: &str) -> Self {
        // No client id holds a zero byte, so that the input is unambiguous.
        Self(sha256(&[client_id.as_str().as_bytes(), &[0], jwt_id.as_bytes()]))
    }
}

impl RequestDigest {
    /// The digest of a request with this `request_id` for a token with these audiences and scopes.
    pub fn of(request_id: &str, audiences: &[String], scopes: &[String]) -> Self {
        let mut content = Context::new(&SHA256);
        for list in [audiences, scopes] {
            // The lengths make the input unambiguous.
            content.update(&list.len().to_be_bytes());
            for text in list {
                content.update(&text.len().to_be_bytes());
                content.update(text.as_bytes());
            }
        }
        let (id, content) = (sha256(&[request_id.as_bytes()]), content.finish());
        let halves = id.iter().take(16).chain(content.as_ref().iter().take(16));
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(halves).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    /// Whether both requests have the same `request_id`, with any content.
    pub fn has_same_id(&self, other: &Self) -> bool {
        self.0.first_chunk::<16>() == other.0.first_chunk::<16>()
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

//! What comes of the reading.

use zeroize::Zeroizing;

use crate::{
    jose::public_key::PublicKey,
    model::{Algorithm, KeyId},
};

/// A key from elsewhere, checked.
pub(crate) struct ImportedKey {
    /// The JWK's own `kid`.
    pub(crate) key_id: Option<KeyId>,
    /// The one algorithm that it is for.
    pub(crate) algorithm: Algorithm,
    /// The public half; none for a secret.
    pub(crate) public: Option<PublicKey>,
    /// The private half as `KeyMaterial::parse` reads it, or the secret.
    pub(crate) private: Option<Zeroizing<Vec<u8>>>,
    /// Whether it can sign, and its `key_ops`, if it has any, do not speak against it.
    pub(crate) may_sign: bool,
}

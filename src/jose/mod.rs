//! JOSE, read strictly: JWS compact form, header, JSON, and keys that are parsed once.
//!
//! May import: `model`. Invariant: nothing here is lenient, nothing here does I/O, and nothing that a token says
//! chooses an algorithm.

mod compact;
mod header;
mod import;
mod json;
mod key_type;
mod material;
mod material_error;
mod public_key;
mod signer;
mod verifier;

pub(crate) use compact::{Compact, encode_header, join};
pub(crate) use header::Header;
pub(crate) use import::{ImportedKey, Source, import};
pub(crate) use json::{MAX_DEPTH, object, object_members};
pub(crate) use material::KeyMaterial;
pub(crate) use material_error::MaterialError;
pub(crate) use public_key::{PublicJwk, PublicKey};
pub(crate) use signer::{Signer, SigningError};
pub(crate) use verifier::Verifier;

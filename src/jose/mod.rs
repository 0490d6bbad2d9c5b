//! JOSE, read strictly: JWS compact form, header, JSON, and keys that are parsed once.
//!
//! May import: `model`. Invariant: nothing here is lenient, nothing here does I/O, and nothing that a token says
//! chooses an algorithm.

mod claims;
mod compact;
mod decoys;
mod foreign;
mod header;
mod import;
mod json;
mod key_type;
mod material;
mod material_error;
mod public_key;
mod public_key_set;
mod signer;
mod verifier;

pub(crate) use claims::read_claims;
pub(crate) use compact::{Compact, encode_header, join};
pub(crate) use decoys::Decoys;
pub(crate) use foreign::{ForeignHeader, media_type, read_foreign_claims};
pub(crate) use header::Header;
pub(crate) use import::{Imported, ImportedKey, SkippedKey, Source, import};
pub(crate) use json::{MAX_DEPTH, object, object_members};
pub(crate) use material::KeyMaterial;
pub(crate) use material_error::MaterialError;
pub(crate) use public_key::{PublicJwk, PublicKey};
pub(crate) use public_key_set::{PublicKeySet, SetLookup};
pub(crate) use signer::{Signer, SigningError};
pub(crate) use verifier::Verifier;

//! JOSE: JWS compact form, header and JSON, read strictly; and keys, which are parsed once and then sign and verify as `jsonwebtoken`
//! and `signature` describe it. jsonwebtoken also writes headers and JWKs; it reads nothing, because its `decode` parses the key again
//! on each call, takes the time from the system, and is not strict.
//!
//! May import: `model`. Invariant: nothing here is lenient, nothing here does I/O, and nothing that a token says
//! chooses an algorithm.

mod algorithm;
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
mod token;
mod verifier;

pub(crate) use claims::read_claims;
pub(crate) use compact::Compact;
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
pub(crate) use token::{encode_header, join};
pub(crate) use verifier::Verifier;

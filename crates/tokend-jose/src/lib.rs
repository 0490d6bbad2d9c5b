//! Strict JOSE: JWS in the compact serialisation (RFC 7515), JWT claims (RFC 7519), JWKs and JWK sets (RFC 7517, RFC 8037, RFC 9964),
//! import of keys, and keys that are parsed once and then sign and verify.
//!
//! tokend and its clients read tokens with this crate, so that both judge a token alike. Keys implement the traits of `jsonwebtoken`
//! and `signature`, where a key in hardware or in a key service fits. `jsonwebtoken` also writes headers and JWKs. Its `decode` is not
//! used: it parses the key on each call, reads the system clock, and is not strict.
//!
//! # The steps of a verification
//! [`Compact::parse`] → [`Header::parse`] → the key that `kid` names → the key's algorithm against `alg` → [`Verifier::verify`] →
//! [`JsonObject::parse`] → [`read_claims`] → issuer and audience, which the caller compares → [`check_times`] → [`check_scopes`] →
//! [`TokenClaims::is_revoked`]. [`ForeignHeader`] and [`read_foreign_claims`] read tokens of other issuers.
//!
//! Invariant: nothing here is lenient, nothing does I/O, and nothing that a token contains chooses an algorithm.

mod algorithm;
mod checks;
mod claims;
mod compact;
mod dummy_keys;
mod foreign;
mod header;
mod import;
mod invalid_token;
mod json;
mod key_id;
mod key_type;
mod material;
mod material_error;
mod named;
mod public_key;
mod public_key_set;
mod revocation;
mod signer;
mod time;
mod token;
mod token_type;
mod verifier;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use checks::{CLOCK_MARGIN, check_jwt_id, check_scopes, check_times, is_revocable};
pub use claims::{Actor, TokenClaims, read_claims};
pub use compact::Compact;
pub use dummy_keys::DummyKeys;
pub use foreign::{ForeignHeader, media_type, read_foreign_claims};
pub use header::Header;
pub use import::{ImportError, Imported, ImportedKey, SkippedKey, Source, import};
pub use invalid_token::{InvalidToken, Reason};
pub use json::{JsonError, JsonObject, JsonValue, MAX_DEPTH, array_index, object, object_members};
pub use key_id::{InvalidKeyId, KeyId};
pub use material::KeyMaterial;
pub use material_error::MaterialError;
pub use public_key::{PublicJwk, PublicKey};
pub use public_key_set::{PublicKeySet, SetLookup};
pub use revocation::{RevocationKind, covers};
pub use signer::{Signer, SigningError};
pub use time::{Ttl, UnixTime};
pub use token::{encode_header, join};
pub use token_type::{TokenType, UnknownTokenType};
pub use verifier::Verifier;

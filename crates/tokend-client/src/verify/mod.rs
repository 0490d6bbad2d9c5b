//! Verification of access tokens: offline with the trust bundle, with a JWK set alone, or online with VerifyToken.

mod builder;
mod cache;
mod claims;
mod jwk_set;
mod keys;
mod offline;
mod online;
mod revocations;
mod trust;
mod verifier;
mod watch;

pub use builder::VerifierBuilder;
pub use claims::Claims;
pub use verifier::Verifier;

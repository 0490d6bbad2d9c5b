//! The words of the house as plain data: no I/O, no async, nothing from any other floor.

mod algorithm;
mod claims;
mod client;
mod field;
mod key;
mod pattern;
mod permissions;
mod refusal;
mod request;
mod secret;
mod time;
mod token;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use claims::{Actor, ExtraClaims, TokenClaims};
pub use client::{Client, ClientId, ClientRecord, ClientSettings, SecretRecord};
pub use field::{FieldViolation, Violations};
pub use key::{KeyId, KeyRecord, KeyState};
pub use pattern::{Pattern, any_match};
pub use permissions::{Method, Permissions};
pub use refusal::{Reason, Refusal};
pub use request::{IssueRequest, VerifyRequest};
pub use secret::{ClientSecret, SecretDigest};
pub use time::{Ttl, UnixTime};
pub use token::{TokenId, TokenType};

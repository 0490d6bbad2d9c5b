//! tokend: a standalone token service. Internal services call it over gRPC to issue and verify JSON Web Tokens.
//!
//! # Layout
//! A file imports only from floors below its own.
//!
//! | floor | modules | what lives there |
//! |---|---|---|
//! | 5 assembly | [`cli`], [`server`], [`config`], [`telemetry`] | knows everyone, is known by nobody |
//! | 4 transport | [`grpc`], [`http`], [`listen`] | wire to model and back; the only place with status codes |
//! | 3 decisions | [`access`], [`tokens`] | who may; issue, verify, refresh, revoke, exchange |
//! | 2 state | [`keys`], [`revocations`] | signing keys: ring, sealing, JWK set; what is revoked |
//! | 1 store | [`store`], [`audit`], [`database`], [`files`], `https_client` | persistence: the trait, SQLite, PostgreSQL; the audit log; connections to PostgreSQL; operators' files; HTTPS to other servers |
//! | 0 plain | [`model`], [`clock`], [`random`], [`metrics`], the package `tokend-jose` | data and rules; no I/O, no async |
//!
//! [`proto`] holds the generated code, for the floors above the third.

pub mod access;
pub mod admission;
pub mod audit;
#[doc(hidden)]
pub mod benching;
pub mod cli;
pub mod clock;
pub mod config;
pub mod database;
pub mod files;
#[cfg(fuzzing)]
#[doc(hidden)]
#[expect(clippy::panic, reason = "a fuzz target fails by panicking")]
pub mod fuzzing;
pub mod grpc;
pub mod http;
pub(crate) mod https_client;
pub mod keys;
pub mod listen;
pub mod metrics;
pub mod model;
pub mod proto;
pub mod random;
pub mod revocations;
pub mod server;
pub mod spans;
pub mod store;
pub mod telemetry;
pub mod tokens;

pub(crate) use tokend_jose as jose;

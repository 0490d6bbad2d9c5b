//! tokend: a standalone token service. Internal services call it over gRPC to issue and verify JSON Web Tokens.
//!
//! # Layout
//! A file imports only from floors below its own.
//!
//! | floor | modules | contents |
//! |---|---|---|
//! | 5 assembly | [`cli`], [`server`], [`config`], [`telemetry`] | command line, settings, start and stop; imports everything |
//! | 4 transport | [`grpc`], [`http`], [`oauth`], [`listen`] | gRPC, HTTP, OAuth 2.0 over HTTP, connections; the only floor with status codes |
//! | 3 decisions | [`access`], [`tokens`] | authentication, policy; issue, verify, refresh, revoke, exchange |
//! | 2 state | [`admission`], [`keys`], [`revocations`] | limits of calls; signing keys: ring, sealing, JWK set; revocations |
//! | 1 store | [`store`], [`audit`], [`database`], [`files`], `https_client` | SQLite and PostgreSQL; audit log; PostgreSQL connections; files; HTTPS to other servers |
//! | 0 base | [`model`], [`clock`], [`random`], [`metrics`], [`spans`], the package `tokend-jose` | data and rules; no I/O |
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
pub mod oauth;
pub mod proto;
pub mod random;
pub mod revocations;
pub mod server;
pub mod spans;
pub mod store;
pub mod telemetry;
pub mod tokens;

pub(crate) use tokend_jose as jose;

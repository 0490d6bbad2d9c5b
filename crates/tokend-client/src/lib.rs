#![doc = include_str!("../README.md")]
//!
//! # Where things are
//! [`TokenSource`] and [`BearerLayer`] are for outgoing calls; [`Verifier`] and [`AuthLayer`] are for incoming requests.
//! [`Credential`] is how a client authenticates to tokend, [`connect`] how it reaches tokend. Time comes from a [`Clock`].
//!
//! Invariants: a token is accepted only after every check of the server, in the same order (`tokend-jose`); when keys or revocations are
//! missing or too old, nothing is accepted; tokens and secrets are never printed.

#[cfg(feature = "axum")]
mod axum;
mod channel;
mod clock;
mod error;
mod layer;
mod proto;
mod random;
mod source;
mod verify;

pub use channel::connect;
pub use clock::{Clock, SystemClock};
pub use error::{BuildError, TokenError, VerifyError};
pub use layer::{Auth, AuthLayer};
pub use source::{
    AccessToken, AssertionKey, Bearer, BearerLayer, Credential, TokenSource, TokenSourceBuilder,
};
pub use tokend_jose::{Actor, Algorithm, Reason, TokenClaims, UnixTime};
pub use verify::{Claims, Verifier, VerifierBuilder};

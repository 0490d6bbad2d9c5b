//! Trusted issuers of tokens, and their keys: fetched in the background from the configured source, and kept in memory.
//!
//! Invariant: the content of a token never determines where keys are fetched.

mod fetch;
mod issuer;
mod issuers;

use std::{path::PathBuf, time::Duration};

use url::Url;

use crate::model::Algorithm;

pub(crate) use fetch::fetch;
pub(super) use issuer::{IssuerKeys, KeysUnavailable, TrustedIssuer};
pub(crate) use issuers::IssuerTokenError;
pub use issuers::{TrustedIssuers, TrustedKeyView};

/// Settings of a trusted issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuerSettings {
    /// The exact `iss`.
    pub issuer: String,
    /// The source of the keys.
    pub source: KeySource,
    /// The accepted algorithms, all asymmetric.
    pub algorithms: Vec<Algorithm>,
    /// The accepted types (`typ`) besides those of the foreign profile, as media types in lower case.
    pub token_types: Vec<String>,
    /// The prefix of the issuer's subjects in tokens of this server. `None` is `foreign:<issuer>#`; empty makes the subjects this
    /// server's own.
    pub subject_prefix: Option<String>,
}

/// The source of an issuer's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A URI of a JWK set.
    Uri {
        /// The URI.
        uri: Url,
        /// The certificate authorities of the server; `None` is the system's.
        ca_file: Option<PathBuf>,
        /// A file with a bearer token for the server, read for each fetch.
        bearer_token_file: Option<PathBuf>,
    },
    /// A file with a JWK set.
    File(PathBuf),
}

/// Settings of fetching.
#[derive(Debug, Clone, Copy)]
pub struct RefreshSettings {
    /// The time between two fetches.
    pub interval: Duration,
    /// How long keys stay in use while they cannot be fetched.
    pub max_age: Duration,
    /// The timeout of a fetch.
    pub timeout: Duration,
}

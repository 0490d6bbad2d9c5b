//! What steers trust in other issuers.

use std::{path::PathBuf, time::Duration};

use url::Url;

use crate::model::Algorithm;

/// An issuer whose tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuerSettings {
    /// `iss`, exactly.
    pub issuer: String,
    /// Where its keys are.
    pub source: KeySource,
    /// What its tokens may be signed with. No symmetric ones.
    pub algorithms: Vec<Algorithm>,
    /// The types (`typ`) that its tokens may be of besides those of the foreign profile, as media types in lower case.
    pub token_types: Vec<String>,
    /// What stands before its subjects in tokens of this server; none: `foreign:<issuer>#`. Empty: its subjects are this server's.
    pub subject_prefix: Option<String>,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A JWK set to fetch.
    Uri {
        /// Where.
        uri: Url,
        /// The authorities for that server's certificate; none: the system's.
        ca_file: Option<PathBuf>,
        /// A token to show there, read anew for each fetch.
        bearer_token_file: Option<PathBuf>,
    },
    /// A file with a JWK set.
    File(PathBuf),
}

/// How issuers' keys are kept up to date.
#[derive(Debug, Clone, Copy)]
pub struct RefreshSettings {
    /// How often they are fetched.
    pub interval: Duration,
    /// How long they are used when they cannot be fetched any more.
    pub max_age: Duration,
    /// The longest that a fetch may take.
    pub timeout: Duration,
}

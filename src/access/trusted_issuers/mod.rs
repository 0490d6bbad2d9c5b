//! Issuers whose tokens stand for clients, and their keys: fetched in the background from where operators said, kept in
//! memory, and never looked for because of anything that a token says.

mod fetch;
mod issuer;
mod issuers;
mod settings;

pub(super) use issuer::{Held, KeysMissing, TrustedIssuer};
pub use issuers::{TrustedIssuers, TrustedKeyView};
pub use settings::{KeySource, RefreshSettings, TrustedIssuerSettings};

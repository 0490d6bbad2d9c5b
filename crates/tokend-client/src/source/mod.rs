//! Access tokens for outgoing calls: issued by tokend, cached, refreshed ahead of their expiry, and added to requests.

mod access_token;
mod assertion;
mod credential;
mod layer;
mod schedule;
mod token_source;

pub use access_token::AccessToken;
pub use assertion::AssertionKey;
pub use credential::Credential;
pub use layer::{Bearer, BearerLayer};
pub use token_source::{TokenSource, TokenSourceBuilder};

//! What is asked for, in the house's own words.

use std::time::Duration;

use super::{ExtraClaims, Password, Ttl, UnixTime, Username};

/// A token that somebody asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssueRequest {
    /// Whom it is about; none means the caller.
    pub subject: Option<String>,
    /// Whom it is for; none means the caller's default.
    pub audiences: Vec<String>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// How long it lives; none means the caller's default.
    pub ttl: Option<Ttl>,
    /// From when it is good; none means at once.
    pub not_before_time: Option<UnixTime>,
    /// Claims to add.
    pub claims: ExtraClaims,
}

/// A person's wish for a token, by name and password. It has no `Debug`: it holds the password.
#[derive(Clone, Default)]
pub struct LoginRequest {
    /// Who it is, as the person says.
    pub username: Username,
    /// What proves it.
    pub password: Password,
    /// Whom the token is for; none means the caller's default.
    pub audiences: Vec<String>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// How long it lives; none means the caller's default.
    pub ttl: Option<Ttl>,
}

/// A question about a token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct VerifyRequest {
    /// The token as it came.
    pub token: String,
    /// Whom the caller answers for; none means the caller's own audiences.
    pub audiences: Vec<String>,
    /// Scopes that it must hold.
    pub required_scopes: Vec<String>,
    /// By how much clocks may differ; none means the server's setting.
    pub leeway: Option<Duration>,
}

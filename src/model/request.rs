//! Requests in the terms of the domain.

use std::time::Duration;

use super::{ClientId, ExtraClaims, Password, SessionId, Ttl, UnixTime, Username};

/// A request for IssueToken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssueRequest {
    /// The subject; `None`: the caller.
    pub subject: Option<String>,
    /// The audiences; empty: the caller's default.
    pub audiences: Vec<String>,
    /// The scopes.
    pub scopes: Vec<String>,
    /// The token lifetime; `None`: the caller's default.
    pub ttl: Option<Ttl>,
    /// `nbf`; `None`: now.
    pub not_before_time: Option<UnixTime>,
    /// Extra claims.
    pub claims: ExtraClaims,
    /// Whether to create a session.
    pub with_session: bool,
}

/// A request for Login. It has no `Debug`: it holds the password.
#[derive(Clone, Default)]
pub struct LoginRequest {
    /// The user's name.
    pub username: Username,
    /// The user's password.
    pub password: Password,
    /// The audiences; empty: the caller's default.
    pub audiences: Vec<String>,
    /// The scopes.
    pub scopes: Vec<String>,
    /// The token lifetime; `None`: the caller's default.
    pub ttl: Option<Ttl>,
    /// Whether to create a session.
    pub with_session: bool,
}

/// A request for VerifyToken.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct VerifyRequest {
    /// The token.
    pub token: String,
    /// The accepted audiences; empty: the caller's own.
    pub audiences: Vec<String>,
    /// The required scopes.
    pub required_scopes: Vec<String>,
    /// The accepted issuers; empty: all that the caller's permissions allow.
    pub issuers: Vec<String>,
    /// The clock leeway; `None`: the server's setting.
    pub leeway: Option<Duration>,
}

/// A request for RefreshToken. It has no `Debug`: it holds the token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RefreshRequest {
    /// The refresh token.
    pub refresh_token: String,
    /// The audiences; empty: the session's.
    pub audiences: Vec<String>,
    /// The scopes; empty: the session's.
    pub scopes: Vec<String>,
    /// The request's id, which may be empty.
    pub request_id: String,
}

/// The target of a request for RevokeToken. It has no `Debug`: it may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub enum RevokeTarget {
    /// An access or refresh token.
    Token(String),
    /// The token with this id (`jti`).
    JwtId(String),
    /// The tokens of a subject that were issued before a time; `None`: now.
    Subject(String, Option<UnixTime>),
    /// The tokens of a client.
    Client(ClientId),
    /// A session.
    Session(SessionId),
}

/// A request for IntrospectToken. It has no `Debug`: it holds the token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IntrospectRequest {
    /// The token.
    pub token: String,
    /// The accepted audiences; empty: the caller's own.
    pub audiences: Vec<String>,
    /// The accepted issuers; empty: all that the caller's permissions allow.
    pub issuers: Vec<String>,
}

/// A request for ExchangeToken. It has no `Debug`: it holds tokens.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ExchangeRequest {
    /// The token of the subject.
    pub subject_token: String,
    /// The token of the actor; `None`: impersonation.
    pub actor_token: Option<String>,
    /// The audiences; empty: the subject token's.
    pub audiences: Vec<String>,
    /// The scopes; empty: the subject token's.
    pub scopes: Vec<String>,
    /// The token lifetime; `None`: the caller's default.
    pub ttl: Option<Ttl>,
}

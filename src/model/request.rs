//! What is asked for, in the house's own words.

use std::time::Duration;

use super::{ClientId, ExtraClaims, Password, SessionId, Ttl, UnixTime, Username};

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
    /// Whether a session is to begin with it.
    pub with_session: bool,
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
    /// Whether a session is to begin with it.
    pub with_session: bool,
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
    /// The only issuers that are accepted; none means all that the caller's permissions allow.
    pub issuers: Vec<String>,
    /// By how much clocks may differ; none means the server's setting.
    pub leeway: Option<Duration>,
}

/// A refresh token that is to be used. It has no `Debug`: it holds the token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RefreshRequest {
    /// The refresh token as it came.
    pub refresh_token: String,
    /// Whom the access token is for; none means whom the session is for.
    pub audiences: Vec<String>,
    /// What it allows; none means what the session allows.
    pub scopes: Vec<String>,
    /// The request's name; empty if it has none.
    pub request_id: String,
}

/// What somebody wants revoked. It has no `Debug`: it may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub enum RevokeTarget {
    /// A token as it came, access or refresh.
    Token(String),
    /// The token of this id.
    JwtId(String),
    /// A subject's, issued before an instant; none means until now.
    Subject(String, Option<UnixTime>),
    /// A client's.
    Client(ClientId),
    /// A session.
    Session(SessionId),
}

/// A question about a token to which "no" is an answer. It has no `Debug`: it holds the token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IntrospectRequest {
    /// The token as it came.
    pub token: String,
    /// Whom the caller answers for; none means the caller's own audiences.
    pub audiences: Vec<String>,
    /// The only issuers that are accepted; none means all that the caller's permissions allow.
    pub issuers: Vec<String>,
}

/// A token that is to be exchanged. It has no `Debug`: it holds tokens.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ExchangeRequest {
    /// Whom the new token is about.
    pub subject_token: String,
    /// Who acts; none means nobody but the subject.
    pub actor_token: Option<String>,
    /// Whom the new token is for; none means whom the subject token is for.
    pub audiences: Vec<String>,
    /// What it allows; none means what the subject token allows.
    pub scopes: Vec<String>,
    /// How long it lives; none means the caller's default.
    pub ttl: Option<Ttl>,
}

//! Claims: those that tokend sets and reads, and those that a caller adds.

use serde_json::Value;

use super::UnixTime;

/// The registered claims of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// `aud`, never empty
    pub audiences: Vec<String>,
    /// `exp`
    pub expire_time: UnixTime,
    /// `nbf`
    pub not_before_time: Option<UnixTime>,
    /// `iat`
    pub issue_time: Option<UnixTime>,
    /// `jti`
    pub jwt_id: Option<String>,
    /// `client_id`
    pub client_id: Option<String>,
    /// `scope`, split at spaces
    pub scopes: Vec<String>,
    /// `act`
    pub actor: Option<Actor>,
    /// `sid`
    pub session_id: Option<String>,
    /// `orig_iat`: when that was issued which the token came of by a refresh or an exchange
    pub origin_time: Option<UnixTime>,
}

impl TokenClaims {
    /// When it was issued, or what it came of; none if it does not say.
    pub fn first_issue_time(&self) -> Option<UnixTime> {
        let issued = self.issue_time?;
        Some(self.origin_time.map_or(issued, |origin| origin.min(issued)))
    }
}

/// One who acts for another (`act`, RFC 8693 section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `iss`: the issuer whose subject it is; none: the issuer of the token that names it.
    pub issuer: Option<String>,
    /// `sub`
    pub subject: String,
    /// `act` inside it
    pub actor: Option<Box<Self>>,
}

impl Actor {
    /// The same actors, for a token of another issuer: each with its issuer. `issuer` is that of the token that names them.
    pub(crate) fn of_issuer(self, issuer: &str) -> Self {
        Self {
            issuer: self.issuer.or_else(|| Some(issuer.to_owned())),
            subject: self.subject,
            actor: self.actor.map(|before| Box::new(before.of_issuer(issuer))),
        }
    }

    /// The actor, then the one before it, and so on.
    pub(crate) fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |actor| actor.actor.as_deref())
    }
}

/// Claims that a caller adds: names with their values as JSON text, each exactly as it will be signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraClaims(Vec<(String, String)>);

impl ExtraClaims {
    /// None.
    pub const NONE: Self = Self(Vec::new());

    /// Names that cannot be set by a caller: the claims of RFC 7519 section 4.1 and those that tokend gives a
    /// meaning.
    pub const REGISTERED: [&'static str; 13] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "act",
        "cnf",
        "client_id",
        "scope",
        "sid",
        "orig_iat",
    ];

    /// Claims as strict JSON reading found them: every value is valid JSON, no name comes twice.
    pub const fn from_members(members: Vec<(String, String)>) -> Self {
        Self(members)
    }

    /// The claims' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Those of the claims that `wanted` picks by name and JSON text.
    pub(crate) fn filtered(&self, wanted: impl Fn(&str, &str) -> bool) -> Self {
        let picked = self.0.iter().filter(|(name, value)| wanted(name, value));
        Self(picked.cloned().collect())
    }

    /// The claims, and this one too.
    pub(crate) fn with(mut self, member: Option<(String, String)>) -> Self {
        self.0.extend(member);
        self
    }

    /// The claims as the text of one JSON object, each value as it was given.
    pub fn to_json(&self) -> String {
        let member = |(name, value): &(String, String)| format!("{}:{value}", Value::from(name.as_str()));
        let members: Vec<String> = self.0.iter().map(member).collect();
        format!("{{{}}}", members.join(","))
    }

    /// Names and JSON texts, in the order given.
    pub fn members(&self) -> &[(String, String)] {
        &self.0
    }
}

//! Claims that a caller adds to a token.

use serde_json::Value;

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

//! The registered claims of a token, and the extra claims of a caller.

use serde_json::Value;

/// Extra claims: names with their values as JSON text, which is signed unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraClaims(Vec<(String, String)>);

impl ExtraClaims {
    /// No extra claims.
    pub const NONE: Self = Self(Vec::new());

    /// Names that a caller cannot set: the claims of RFC 7519 section 4.1 and those that tokend reads.
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

    /// Claims from strict JSON parsing: each value is valid JSON, and names are unique.
    pub const fn from_members(members: Vec<(String, String)>) -> Self {
        Self(members)
    }

    /// The claims' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The claims for which `wanted` returns true, by name and JSON text.
    pub(crate) fn filtered(&self, wanted: impl Fn(&str, &str) -> bool) -> Self {
        let picked = self.0.iter().filter(|(name, value)| wanted(name, value));
        Self(picked.cloned().collect())
    }

    /// Adds a claim.
    pub(crate) fn with(mut self, member: Option<(String, String)>) -> Self {
        self.0.extend(member);
        self
    }

    /// The claims as one JSON object, with unchanged values.
    pub fn to_json(&self) -> String {
        let member = |(name, value): &(String, String)| format!("{}:{value}", Value::from(name.as_str()));
        let members: Vec<String> = self.0.iter().map(member).collect();
        format!("{{{}}}", members.join(","))
    }

    /// Names and JSON texts, in the caller's order.
    pub fn members(&self) -> &[(String, String)] {
        &self.0
    }
}

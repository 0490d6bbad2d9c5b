//! What a line says of one call.

use std::{borrow::Cow, collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use serde::{Serialize, Serializer};

use super::Text;

/// Of a list, so many are written.
const MOST: usize = 16;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was refused, or failed: code and reason say why.
    Refused,
    /// Its caller went away before the answer: it may have been done.
    Abandoned,
}

/// What a call changed, or was to change. Written as `client/ID`, `user/ID`, `key/ID`, `token/ID`, `session/ID`
/// or `subject/ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A client, by its id.
    Client(Text),
    /// A user, by its id.
    User(Text),
    /// A key, by its `kid`.
    Key(Text),
    /// A token, by its `jti`.
    Token(Text),
    /// A session, by its `sid`.
    Session(Text),
    /// All that is about a subject, by its `sub`.
    Subject(Text),
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Client(id) => serializer.collect_str(&format_args!("client/{id}")),
            Self::User(id) => serializer.collect_str(&format_args!("user/{id}")),
            Self::Key(id) => serializer.collect_str(&format_args!("key/{id}")),
            Self::Token(id) => serializer.collect_str(&format_args!("token/{id}")),
            Self::Session(id) => serializer.collect_str(&format_args!("session/{id}")),
            Self::Subject(id) => serializer.collect_str(&format_args!("subject/{id}")),
        }
    }
}

/// The refused items of a batch, by reason.
pub type Items = BTreeMap<&'static str, u32>;

/// The lines of the policy that decided, put into words where they are written.
#[derive(Clone)]
pub struct Policy(pub Arc<dyn fmt::Display + Send + Sync>);

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Text::of(&self.0.to_string()))
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Text::of(&self.0.to_string()).serialize(serializer)
    }
}

/// One call. What is not known, or does not apply, is not written.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// The method, as `tokend.v1.TokenService/IssueToken`.
    pub method: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// The gRPC code of the answer.
    pub code: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Which of the request's fields policy does not allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<Text>,
    /// The line of the client's permissions that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Who called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Text>,
    /// How the caller proved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<&'static str>,
    /// Where the call came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// The call's id, which the log has too.
    pub request_id: Text,
    /// Whom the token is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Text>,
    /// Who acts for that subject, by the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Text>,
    /// Whom the token is for.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "bounded")]
    pub audiences: Vec<Text>,
    /// What the token allows.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "bounded")]
    pub scopes: Vec<Text>,
    /// The token's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<Text>,
    /// The key that signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<Text>,
    /// When the token ends, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// What was changed, or was to be.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "bounded")]
    pub targets: Vec<Target>,
    /// Why it was changed, as the caller says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Text>,
    /// How many sessions the change ended beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_sessions: Option<u64>,
    /// The refused items of a batch.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub items: Items,
    /// The answer was given before, to a request of the same `request_id`: nothing was done for it again.
    #[serde(skip_serializing_if = "is_false")]
    pub repeated: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// A change of the keys that nobody asked for: their plan did.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedChange {
    /// What was done.
    pub step: &'static str,
    /// The keys that were changed, made or removed.
    #[serde(serialize_with = "bounded")]
    pub targets: Vec<Target>,
}

/// The first of a list, and how many more there are.
fn bounded<T: Serialize, S: Serializer>(list: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Entry<'a, T> {
        Own(&'a T),
        More(Cow<'static, str>),
    }
    let more = list.len().saturating_sub(MOST);
    let own = list.iter().take(MOST).map(Entry::Own);
    let more = (more > 0).then(|| Entry::More(format!("… {more} more").into()));
    serializer.collect_seq(own.chain(more))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_bounded_and_says_so() {
        let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let json = serde_json::to_value(Listed(names)).unwrap();
        let written = json.as_array().unwrap();
        assert_eq!((written.len(), written.last().unwrap().as_str()), (17, Some("… 4 more")));
        let target = serde_json::to_value(Target::Client(Text::of("a\nb"))).unwrap();
        assert_eq!(target, "client/a\\u{a}b");
    }

    #[derive(Serialize)]
    #[serde(transparent)]
    struct Listed(#[serde(serialize_with = "bounded")] Vec<String>);
}

//! The event of a call.

use std::{borrow::Cow, collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use serde::{Serialize, Serializer};

use super::Text;

/// The limit of written entries of a list.
const MOST: usize = 16;

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The call succeeded.
    Ok,
    /// The call was rejected or failed, see code and reason.
    Refused,
    /// The caller disconnected before the response. The call may have been executed.
    Abandoned,
}

/// The object that a call changed, or should have changed. Serialized as `client/ID`, `user/ID`, `key/ID`, `token/ID`, `session/ID`
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
    /// Every token of a subject, by its `sub`.
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

/// The rejected items of a batch, by reason.
pub type Items = BTreeMap<&'static str, u32>;

/// The lines of the policy that decided. They are formatted when the event is serialized.
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

/// The event of a call. Unknown fields, and fields that do not apply, are omitted.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// The method, as `tokend.v1.TokenService/IssueToken`.
    pub method: &'static str,
    /// The outcome.
    pub outcome: Outcome,
    /// The gRPC status code.
    pub code: &'static str,
    /// The reason of a rejection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The field of the request that policy does not allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<Text>,
    /// The line of the client's permissions that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The id of the calling client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Text>,
    /// The authentication method of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<&'static str>,
    /// The address of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// The id of the call, which is in the log, too.
    pub request_id: Text,
    /// The subject of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Text>,
    /// The actor in the token, who acts for the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Text>,
    /// The audiences of the token.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "bounded")]
    pub audiences: Vec<Text>,
    /// The scopes of the token.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "bounded")]
    pub scopes: Vec<Text>,
    /// The id of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<Text>,
    /// The key that signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<Text>,
    /// The expiry of the token, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// The objects that were changed, or should have been.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "bounded")]
    pub targets: Vec<Target>,
    /// The reason for the change that the caller gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Text>,
    /// The number of sessions that the change ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_sessions: Option<u64>,
    /// The rejected items of a batch.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub items: Items,
    /// The response repeats an earlier one to a request with the same `request_id`. Nothing was executed again.
    #[serde(skip_serializing_if = "is_false")]
    pub repeated: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// A change of the keys by the rotation plan.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedChange {
    /// The rotation step.
    pub step: &'static str,
    /// The keys that were generated, changed or deleted.
    #[serde(serialize_with = "bounded")]
    pub targets: Vec<Target>,
}

/// Serializes the first entries of a list, and the number of further ones.
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

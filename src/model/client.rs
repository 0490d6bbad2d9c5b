//! Registered clients.

use std::{fmt, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use super::{Algorithm, Authentication, Permissions, RowContent, SecretDigest, TokenType, Ttl, UnixTime};

/// A client's id: 1 to 63 of `a-z 0-9 . -`, a letter or digit first and last. It needs no escaping in a secret, a log line or a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

/// A text that is not a client id.
#[derive(Debug, thiserror::Error)]
#[error("must be 1 to 63 characters of `a-z 0-9 . -`, with a letter or digit first and last")]
pub struct InvalidClientId;

impl ClientId {
    /// Parses a client id.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidClientId> {
        let text = text.into();
        let letter_or_digit = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let well_formed = bytes.len() <= 63
            && bytes.first().is_some_and(letter_or_digit)
            && bytes.last().is_some_and(letter_or_digit)
            && bytes.iter().all(|byte| letter_or_digit(byte) || matches!(byte, b'.' | b'-'));
        if well_formed { Ok(Self(text)) } else { Err(InvalidClientId) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ClientId {
    type Error = InvalidClientId;

    fn try_from(text: String) -> Result<Self, InvalidClientId> {
        Self::parse(text)
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0
    }
}

/// A registered service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The client's id.
    pub client_id: ClientId,
    /// The settings that operators choose.
    pub settings: ClientSettings,
    /// When the client was created.
    pub create_time: UnixTime,
    /// When the client was last changed.
    pub update_time: UnixTime,
    /// Counts the changes, from a random start.
    pub revision: i64,
    /// The MAC over [`ClientRecord::content`]; none on a row that a release without MACs wrote.
    pub mac: Option<Vec<u8>>,
}

impl Client {
    /// Which version of which client this is.
    pub const fn version(&self) -> ClientVersion {
        ClientVersion { create_time: self.create_time, revision: self.revision }
    }
}

/// A version of a client. A client that was deleted and re-created has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientVersion {
    /// When the client was created.
    pub create_time: UnixTime,
    /// Counts the changes since, from a random start.
    pub revision: i64,
}

/// The settings that operators choose for a client. The store keeps them as one JSON document. An older release rejects a row with
/// an unknown field: the field might be a restriction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// A descriptive name.
    pub display_name: String,
    /// A disabled client is rejected like an unknown one.
    pub disabled: bool,
    /// The audiences of a token if the request has none.
    pub default_audiences: Vec<String>,
    /// The lifetime of a token if the request has none.
    pub default_ttl: Option<Ttl>,
    /// The `typ` of the client's tokens.
    pub token_type: TokenType,
    /// The algorithm of the client's tokens; `None`: the server's default.
    pub algorithm: Option<Algorithm>,
    /// The client's permissions.
    pub permissions: Permissions,
    /// How the client authenticates.
    #[serde(default, skip_serializing_if = "Authentication::is_default")]
    pub authentication: Authentication,
    /// The client's rate limits.
    #[serde(default, skip_serializing_if = "ClientLimits::is_default")]
    pub limits: ClientLimits,
}

/// The rate limits of a client; `None`: the server's setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientLimits {
    /// Calls per second, on average.
    #[serde(default)]
    pub calls_per_second: Option<NonZeroU32>,
    /// Calls in flight.
    #[serde(default)]
    pub concurrent_calls: Option<NonZeroU32>,
}

impl ClientLimits {
    /// Whether both limits are the server's.
    pub const fn is_default(&self) -> bool {
        self.calls_per_second.is_none() && self.concurrent_calls.is_none()
    }
}

impl ClientSettings {
    /// The lifetime of a token if neither the request nor the client has one.
    const DEFAULT_TTL: Ttl = Ttl::from_minutes(15);

    /// The lifetime of a token if the request has none, capped by `max_ttl`.
    pub fn effective_default_ttl(&self) -> Ttl {
        self.default_ttl.unwrap_or(Self::DEFAULT_TTL).min(self.permissions.max_ttl)
    }
}

/// A client with the digests of its secrets, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRecord {
    /// The client.
    pub client: Client,
    /// The secrets.
    pub secrets: Vec<SecretRecord>,
}

/// How many secrets a client may have at once.
pub const MAX_SECRETS: usize = 5;

impl ClientRecord {
    /// The fields that the MAC covers: the id, the settings with the permissions, and the secrets. `None` if the settings cannot be
    /// serialized; such a row can be neither signed nor verified.
    pub fn content(&self) -> Option<RowContent> {
        let settings = serde_json::to_vec(&self.client.settings).ok()?;
        let later = serde_json::to_vec(&self.client.settings.permissions.later()).ok()?;
        let content = RowContent::of("clients")
            .text("client_id", Some(self.client.client_id.as_str()))
            .with("settings", Some(&settings))
            .with("permissions", Some(&later));
        let mut secrets: Vec<&SecretRecord> = self.secrets.iter().collect();
        secrets.sort_by(|one, other| one.secret_id.cmp(&other.secret_id));
        Some(secrets.into_iter().fold(content, |content, secret| {
            content
                .text("secret_id", Some(&secret.secret_id))
                .with("digest", Some(secret.digest.as_bytes()))
                .time("secret.created_at", Some(secret.create_time))
                .time("secret.expires_at", secret.expire_time)
        }))
    }

    /// Adds a secret. The other secrets expire at `others_expire` at the latest. Secrets that have expired at `secret.create_time` are
    /// deleted, and the oldest ones beyond [`MAX_SECRETS`].
    pub fn add_secret(&mut self, secret: SecretRecord, others_expire: UnixTime) {
        let others = &mut self.secrets;
        for other in &mut *others {
            other.expire_time = Some(other.expire_time.map_or(others_expire, |end| end.min(others_expire)));
        }
        others.retain(|other| other.is_live(secret.create_time));
        let surplus = (others.len() + 1).saturating_sub(MAX_SECRETS);
        others.drain(..surplus);
        others.push(secret);
        // A stable sort: of two secrets of the same second, the one that was added later comes later.
        others.sort_by_key(|secret| secret.create_time);
    }
}

/// A client secret in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRecord {
    /// The id of the secret, which reveals nothing of it.
    pub secret_id: String,
    /// The secret's digest.
    pub digest: SecretDigest,
    /// When the secret was created.
    pub create_time: UnixTime,
    /// When the secret expires; `None`: never.
    pub expire_time: Option<UnixTime>,
}

impl SecretRecord {
    /// Whether the secret is accepted at `now`.
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.expire_time.is_none_or(|expire_time| now < expire_time)
    }
}

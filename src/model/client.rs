//! Registered clients.

use std::{fmt, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use super::{Algorithm, Authentication, Permissions, RowContent, SecretDigest, TokenType, Ttl, UnixTime};

/// A client's id: 1 to 63 of `a-z 0-9 . -`, a letter or digit first and last, so that it can stand in a
/// secret, a log line and a URL as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

/// A text that is no client id.
#[derive(Debug, thiserror::Error)]
#[error("must be 1 to 63 characters of `a-z 0-9 . -`, with a letter or digit first and last")]
pub struct InvalidClientId;

impl ClientId {
    /// Reads a client id.
    ///
    /// # Errors
    /// When it has another form.
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
    /// Who it is.
    pub client_id: ClientId,
    /// What operators decide about it.
    pub settings: ClientSettings,
    /// When it was registered.
    pub create_time: UnixTime,
    /// When it was last changed.
    pub update_time: UnixTime,
    /// Counts its changes, from a number by chance.
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

/// A version of a client. One that was deleted and registered anew is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientVersion {
    /// When the client was registered.
    pub create_time: UnixTime,
    /// Counts its changes since, from a number by chance.
    pub revision: i64,
}

/// What operators decide about a client. The store keeps it as one JSON document: a field that an older
/// release does not know makes it refuse the row, for the field might be a restriction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// A name for people.
    pub display_name: String,
    /// Refused like an unknown client.
    pub disabled: bool,
    /// The audiences of a token when none are asked for.
    pub default_audiences: Vec<String>,
    /// The life of a token when none is asked for.
    pub default_ttl: Option<Ttl>,
    /// The `typ` of its tokens.
    pub token_type: TokenType,
    /// What signs its tokens; none means the server's default.
    pub algorithm: Option<Algorithm>,
    /// What it may do.
    pub permissions: Permissions,
    /// How it proves who it is.
    #[serde(default, skip_serializing_if = "Authentication::is_default")]
    pub authentication: Authentication,
    /// How much it may ask for at once.
    #[serde(default, skip_serializing_if = "ClientLimits::is_default")]
    pub limits: ClientLimits,
}

/// How much a client may ask for at once; none means the server's own setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientLimits {
    /// Calls a second, in the long run.
    #[serde(default)]
    pub calls_per_second: Option<NonZeroU32>,
    /// Calls that are being served at once.
    #[serde(default)]
    pub concurrent_calls: Option<NonZeroU32>,
}

impl ClientLimits {
    /// Whether neither is said.
    pub const fn is_default(&self) -> bool {
        self.calls_per_second.is_none() && self.concurrent_calls.is_none()
    }
}

impl ClientSettings {
    /// The life of a token when neither request nor client says one.
    const DEFAULT_TTL: Ttl = Ttl::from_minutes(15);

    /// The life of a token when the request says none: never above the cap.
    pub fn effective_default_ttl(&self) -> Ttl {
        self.default_ttl.unwrap_or(Self::DEFAULT_TTL).min(self.permissions.max_ttl)
    }
}

/// A client with the hashes of its secrets, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRecord {
    /// The client.
    pub client: Client,
    /// Its secrets.
    pub secrets: Vec<SecretRecord>,
}

/// How many secrets a client may have at once.
pub const MOST_SECRETS: usize = 5;

impl ClientRecord {
    /// What of it decides trust: the id, the settings with the permissions, and the secrets. None if the settings have no JSON
    /// form; such a row can be neither signed nor verified.
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

    /// Adds a secret. The others end at `others_expire` at the latest; those that have then ended at `secret.create_time` are
    /// deleted, and, if more than [`MOST_SECRETS`] would be left, the oldest.
    pub fn add_secret(&mut self, secret: SecretRecord, others_expire: UnixTime) {
        let others = &mut self.secrets;
        for other in &mut *others {
            other.expire_time = Some(other.expire_time.map_or(others_expire, |end| end.min(others_expire)));
        }
        others.retain(|other| other.is_live(secret.create_time));
        let surplus = (others.len() + 1).saturating_sub(MOST_SECRETS);
        others.drain(..surplus);
        others.push(secret);
        // Stable: of two secrets of the same second, the one added later comes later.
        others.sort_by_key(|secret| secret.create_time);
    }
}

/// What is kept of a client secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRecord {
    /// Names the secret; tells nothing about it.
    pub secret_id: String,
    /// The secret's hash.
    pub digest: SecretDigest,
    /// When it was made.
    pub create_time: UnixTime,
    /// When it ends; none: it does not.
    pub expire_time: Option<UnixTime>,
}

impl SecretRecord {
    /// Whether the secret is still good at `now`.
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.expire_time.is_none_or(|expire_time| now < expire_time)
    }
}

//! Sessions and their refresh tokens.

use std::fmt;

use aws_lc_rs::constant_time;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::{ClientId, ExtraClaims, RefreshDigest, RequestDigest, Ttl, UnixTime, UserId};
use crate::random::{self, RandomError};

/// A session's id (`sid`): 128 random bits as base64url.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(String);

/// A text that is not a session id.
#[derive(Debug, thiserror::Error)]
#[error("must be 22 characters of base64url")]
pub struct InvalidSessionId;

impl SessionId {
    /// Generates an id.
    pub(crate) fn generate() -> Result<Self, RandomError> {
        random::text::<16>().map(Self)
    }

    /// The id with these bytes.
    pub(crate) fn from_bytes(bytes: &[u8; 16]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The id's bytes.
    pub(crate) fn to_bytes(&self) -> [u8; 16] {
        // Every id encodes 16 bytes.
        let decoded = URL_SAFE_NO_PAD.decode(&self.0).ok();
        decoded.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
    }

    /// Parses a session id.
    ///
    /// # Errors
    /// When it is not 16 bytes in base64url.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidSessionId> {
        let text = text.into();
        let decoded = URL_SAFE_NO_PAD.decode(&text);
        if decoded.is_ok_and(|bytes| bytes.len() == 16) { Ok(Self(text)) } else { Err(InvalidSessionId) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The largest scope of a session's tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionScope {
    /// `aud`
    pub audiences: Vec<String>,
    /// `scope`
    pub scopes: Vec<String>,
    /// Extra claims, for a session without a user.
    pub claims: ExtraClaims,
    /// The lifetime of an access token.
    pub ttl: Option<Ttl>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The session's id (`sid`).
    pub session_id: SessionId,
    /// The client that created the session, and alone may use its refresh tokens.
    pub client_id: ClientId,
    /// The subject of the session's tokens (`sub`).
    pub subject: String,
    /// The user who logged in; `None`: IssueToken created the session.
    pub user_id: Option<UserId>,
    /// The largest scope of the session's tokens.
    pub scope: SessionScope,
    /// When the session was created.
    pub create_time: UnixTime,
    /// When a refresh token was last used; at first `create_time`.
    pub refresh_time: UnixTime,
    /// When the session ends unless its refresh token is used before; never after `expire_time`.
    pub idle_expire_time: UnixTime,
    /// When the session ends in any case.
    pub expire_time: UnixTime,
}

/// A session with the digests of its refresh tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session.
    pub session: Session,
    /// The key of the marks by which an old refresh token of this session is recognized.
    pub family: FamilyKey,
    /// The current refresh token.
    pub current: RefreshDigest,
    /// The refresh token that it replaced.
    pub replaced: Option<ReplacedToken>,
}

/// A refresh token that was used. Its successor can be returned once more for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedToken {
    /// The token.
    pub digest: RefreshDigest,
    /// When it was used.
    pub replace_time: UnixTime,
    /// The request that used it, if the request had a `request_id`.
    pub request: Option<RequestDigest>,
    /// Its successor, sealed under a key that only the token itself yields.
    pub successor: Vec<u8>,
}

/// A use of the current refresh token, which is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRotation {
    /// The session.
    pub session_id: SessionId,
    /// The new refresh token.
    pub current: RefreshDigest,
    /// The token that is used, and must still be the current one.
    pub replaced: ReplacedToken,
    /// When the session ends unless the new token is used before.
    pub idle_expire_time: UnixTime,
}

/// Selects the sessions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// The subject; `None`: any.
    pub subject: Option<String>,
    /// The client; `None`: any.
    pub client_id: Option<ClientId>,
}

/// The key of the marks in a session's refresh tokens. The key suffices to forge tokens that count as used, and none that is
/// accepted.
#[derive(Clone)]
pub struct FamilyKey(Zeroizing<[u8; 32]>);

impl FamilyKey {
    /// Generates a key.
    pub(crate) fn generate() -> Result<Self, RandomError> {
        random::bytes::<32>().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// A key that the store keeps.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for FamilyKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&*self.0, &*other.0).is_ok()
    }
}

impl Eq for FamilyKey {}

impl fmt::Debug for FamilyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FamilyKey(redacted)")
    }
}

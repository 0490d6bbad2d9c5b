//! Sessions: what a refresh token stands for.

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::{ClientId, ExtraClaims, Ttl, UnixTime, UserId};
use crate::random::{self, RandomError};

/// A session's id (`sid`): 128 random bits as base64url.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(String);

/// A text that is no session id.
#[derive(Debug, thiserror::Error)]
#[error("must be 22 characters of base64url")]
pub struct InvalidSessionId;

impl SessionId {
    /// A fresh id.
    pub(crate) fn generate() -> Result<Self, RandomError> {
        random::text::<16>().map(Self)
    }

    /// The id that these octets are.
    pub(crate) fn from_octets(octets: &[u8; 16]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(octets))
    }

    /// The id's octets.
    pub(crate) fn octets(&self) -> [u8; 16] {
        // Every id was made of so many octets, or found to be.
        let decoded = URL_SAFE_NO_PAD.decode(&self.0).ok();
        decoded.and_then(|octets| octets.try_into().ok()).unwrap_or_default()
    }

    /// Reads a session id.
    ///
    /// # Errors
    /// When it has another form than those that are made here.
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

/// What the tokens of a session may hold at the most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionScope {
    /// `aud`
    pub audiences: Vec<String>,
    /// `scope`
    pub scopes: Vec<String>,
    /// Claims to add, if no user says what they are.
    pub claims: ExtraClaims,
    /// The life of an access token.
    pub ttl: Option<Ttl>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Which.
    pub session_id: SessionId,
    /// Who began it, and alone may use its refresh token.
    pub client_id: ClientId,
    /// Whom it is about (`sub`).
    pub subject: String,
    /// The user who logged in; none: IssueToken began it.
    pub user_id: Option<UserId>,
    /// What its tokens may hold.
    pub scope: SessionScope,
    /// When it began.
    pub create_time: UnixTime,
    /// When its refresh token was last used; its beginning if it never was.
    pub refresh_time: UnixTime,
    /// When it ends unless its refresh token is used before; never after `expire_time`.
    pub idle_expire_time: UnixTime,
    /// When it ends in any case.
    pub expire_time: UnixTime,
}

/// A session as the store keeps it, with what its refresh tokens are known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session.
    pub session: Session,
    /// What shows that a refresh token was once one of this session.
    pub family: FamilyKey,
    /// The refresh token that is good now.
    pub current: RefreshDigest,
    /// The one that it took the place of.
    pub replaced: Option<ReplacedToken>,
}

/// A refresh token that was used: enough to answer it once more for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedToken {
    /// The token.
    pub digest: RefreshDigest,
    /// When it was used.
    pub replace_time: UnixTime,
    /// The request that used it, if it had a name.
    pub request: Option<RequestDigest>,
    /// Its successor, sealed under a key that only the token itself yields.
    pub successor: Vec<u8>,
}

/// The next step of a session: the good refresh token is used, and another takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRotation {
    /// Which session.
    pub session_id: SessionId,
    /// The refresh token after this.
    pub current: RefreshDigest,
    /// The one that is used, and must be the good one still.
    pub replaced: ReplacedToken,
    /// When the session ends unless the new token is used before.
    pub idle_expire_time: UnixTime,
}

/// Which sessions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Whose; none: anybody's.
    pub subject: Option<String>,
    /// Begun by which client; none: by any.
    pub client_id: Option<ClientId>,
}

/// SHA-256 of a refresh token, which has 256 random bits, so that no slow hash is wanted.
#[derive(Clone, Copy, Eq)]
pub struct RefreshDigest([u8; 32]);

impl RefreshDigest {
    /// The digest of a token's octets.
    pub(crate) fn of(token: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, token).as_ref());
        Self(bytes)
    }

    /// A digest as the store keeps it.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 octets, for the store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for RefreshDigest {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Debug for RefreshDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshDigest(redacted)")
    }
}

/// What a request that names itself is known by: its `request_id` and what it asks for, each as SHA-256 cut to 16 octets. So
/// it can be told from another request of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestDigest([u8; 32]);

impl RequestDigest {
    /// The digest of a request that has this name and asks for a token with these audiences and scopes.
    pub fn of(request_id: &str, audiences: &[String], scopes: &[String]) -> Self {
        let name = digest::digest(&digest::SHA256, request_id.as_bytes());
        let mut content = digest::Context::new(&digest::SHA256);
        for list in [audiences, scopes] {
            // Unambiguous: each list and each text says first how long it is.
            content.update(&list.len().to_be_bytes());
            for text in list {
                content.update(&text.len().to_be_bytes());
                content.update(text.as_bytes());
            }
        }
        let content = content.finish();
        let halves = name.as_ref().iter().take(16).chain(content.as_ref().iter().take(16));
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(halves).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    /// Whether both requests have the same name, whatever they ask for.
    pub fn has_name_of(&self, other: &Self) -> bool {
        self.0.first_chunk::<16>() == other.0.first_chunk::<16>()
    }

    /// A digest as the store keeps it.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 octets, for the store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The key under which a session's refresh tokens carry a mark. Who has it can make tokens that count as used ones, and
/// none that counts as good.
#[derive(Clone)]
pub struct FamilyKey(Zeroizing<[u8; 32]>);

impl FamilyKey {
    /// A fresh key.
    pub(crate) fn generate() -> Result<Self, RandomError> {
        random::bytes::<32>().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// A key as the store keeps it.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The 32 octets, for the store and for whoever checks a mark.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for FamilyKey {
    /// In constant time.
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

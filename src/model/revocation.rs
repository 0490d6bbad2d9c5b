//! Revocations: they reject tokens with a valid signature before these expire.

use super::{ChangeSequence, ClientId, SessionId, UnixTime};

/// The target of a revocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RevocationTarget {
    /// The token with this id (`jti`).
    Token(String),
    /// A session with all its tokens (`sid`).
    Session(SessionId),
    /// The tokens of a subject (`sub`) that were issued before a time.
    Subject(String, UnixTime),
    /// The tokens of a client (`client_id`) that were issued before a time.
    Client(ClientId, UnixTime),
    /// All tokens that were issued before a time.
    Everything(UnixTime),
}

/// A revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The target of a revocation.
    pub target: RevocationTarget,
    /// When the target was revoked.
    pub revoke_time: UnixTime,
    /// When the last of the tokens has expired, so that the revocation may be deleted; `None`: never.
    pub expire_time: Option<UnixTime>,
}

impl RevocationTarget {
    /// The time before which revoked tokens were issued; `None`: any time.
    pub const fn issued_before(&self) -> Option<UnixTime> {
        match self {
            Self::Token(_) | Self::Session(_) => None,
            Self::Subject(_, before) | Self::Client(_, before) | Self::Everything(before) => Some(*before),
        }
    }
}

impl Revocation {
    /// This one, reaching as far as `other` of the same target if that reaches further.
    pub(crate) fn widened_by(self, other: &Self) -> Self {
        let further = other.target.issued_before() > self.target.issued_before();
        Self {
            target: if further { other.target.clone() } else { self.target },
            revoke_time: self.revoke_time,
            // `None` is the latest time.
            expire_time: self.expire_time.zip(other.expire_time).map(|(own, other)| own.max(other)),
        }
    }

    /// Whether the revoked tokens have expired at `now`.
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.expire_time.is_some_and(|expire| expire <= now)
    }
}

/// A stored revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationRecord {
    /// The change that made or extended the revocation.
    pub sequence: ChangeSequence,
    /// The revocation.
    pub revocation: Revocation,
}

/// Revocations in the order of their changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationPage {
    /// The revocations.
    pub records: Vec<RevocationRecord>,
    /// The change up to which the pages are complete: the last change of all if there is no further page.
    pub complete: ChangeSequence,
}

//! Revocations: tokens that are refused although their signatures and times are good.

use super::{ChangeSequence, ClientId, SessionId, UnixTime};

/// What is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RevocationTarget {
    /// The token of this id (`jti`).
    Token(String),
    /// A session with all that came of it (`sid`).
    Session(SessionId),
    /// What a subject has (`sub`), as far as it was issued before the instant.
    Subject(String, UnixTime),
    /// What a client had issued (`client_id`), as far as it was issued before the instant.
    Client(ClientId, UnixTime),
    /// All that was issued before the instant.
    Everything(UnixTime),
}

/// Whether a token of this id can be revoked by it: up to 255 bytes of any text, but for what PostgreSQL cannot keep.
pub fn is_revocable(jwt_id: &str) -> bool {
    (1..=255).contains(&jwt_id.len()) && !jwt_id.contains('\0')
}

/// A revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// What is revoked.
    pub target: RevocationTarget,
    /// When it was.
    pub revoke_time: UnixTime,
    /// When nobody accepts the last of the tokens any more, so that it may be forgotten; none: never.
    pub expire_time: Option<UnixTime>,
}

impl RevocationTarget {
    /// Of the tokens that it names, those that were issued before this instant are revoked; none: all.
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
            // No end is the furthest one.
            expire_time: self.expire_time.zip(other.expire_time).map(|(own, other)| own.max(other)),
        }
    }

    /// Whether nobody accepts what it revokes any more at `now`.
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.expire_time.is_some_and(|expire| expire <= now)
    }
}

/// A revocation as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationRecord {
    /// The change that made it, or made it reach further.
    pub sequence: ChangeSequence,
    /// The revocation.
    pub revocation: Revocation,
}

/// Some of the revocations, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationPage {
    /// The revocations.
    pub records: Vec<RevocationRecord>,
    /// With these, whoever had everything before has everything up to this change. It is the last change of all if there is no
    /// further page.
    pub complete: ChangeSequence,
}

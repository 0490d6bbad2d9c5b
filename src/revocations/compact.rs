//! A revoked token or session whose id is 16 octets: an entry of 32.

use super::entry::{Entry, Kind, LONG_AGO, Name, text};
use crate::model::{ChangeSequence, Revocation, RevocationRecord, RevocationTarget, SessionId, UnixTime};

/// A revoked token or session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compact {
    id: [u8; 16],
    /// The sequence, and in the lowest bit whether it is a session.
    order: u64,
    /// In seconds since 1970, which fit until 2106.
    revoke_time: u32,
    /// The same; the highest number: never.
    expire_time: u32,
}

impl Compact {
    /// `revocation` of this token or session.
    pub(super) fn new(kind: Kind, id: [u8; 16], sequence: ChangeSequence, revocation: &Revocation) -> Self {
        let session = u64::from(kind == Kind::Session);
        Self {
            id,
            order: sequence.0.unsigned_abs() << 1 | session,
            revoke_time: seconds(revocation.revoke_time),
            // One that expires later than can be said is kept for ever.
            expire_time: revocation.expire_time.map_or(u32::MAX, seconds),
        }
    }
}

impl Entry for Compact {
    fn name(&self) -> Name<'_> {
        let kind = if self.order & 1 == 1 { Kind::Session } else { Kind::Token };
        Name::Octets(kind, self.id)
    }

    fn sequence(&self) -> ChangeSequence {
        ChangeSequence((self.order >> 1).cast_signed())
    }

    fn expire_time(&self) -> Option<UnixTime> {
        (self.expire_time != u32::MAX).then(|| instant(self.expire_time))
    }

    fn record(&self) -> RevocationRecord {
        let target = if self.order & 1 == 1 {
            RevocationTarget::Session(SessionId::from_octets(&self.id))
        } else {
            RevocationTarget::Token(text(self.id))
        };
        let revocation =
            Revocation { target, revoke_time: instant(self.revoke_time), expire_time: self.expire_time() };
        RevocationRecord { sequence: self.sequence(), revocation }
    }

    fn end(&mut self) {
        self.expire_time = seconds(LONG_AGO);
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

fn seconds(time: UnixTime) -> u32 {
    u32::try_from(time.seconds().max(0)).unwrap_or(u32::MAX)
}

fn instant(seconds: u32) -> UnixTime {
    UnixTime::from_seconds(i64::from(seconds))
}

//! The entry of a revoked token or session with a 16-byte id: 32 bytes.

use super::entry::{Entry, Key, Kind, LONG_AGO, encode};
use crate::model::{ChangeSequence, Revocation, RevocationRecord, RevocationTarget, SessionId, UnixTime};

/// A revoked token or session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CompactEntry {
    id: [u8; 16],
    /// The sequence; the lowest bit is set for a session.
    order: u64,
    /// In seconds since 1970, until 2106.
    revoke_time: u32,
    /// In seconds since 1970; `u32::MAX`: never.
    expire_time: u32,
}

impl CompactEntry {
    pub(super) fn new(kind: Kind, id: [u8; 16], sequence: ChangeSequence, revocation: &Revocation) -> Self {
        let session = u64::from(kind == Kind::Session);
        Self {
            id,
            order: sequence.0.unsigned_abs() << 1 | session,
            revoke_time: seconds(revocation.revoke_time),
            // A revocation that expires after 2106 is kept for ever.
            expire_time: revocation.expire_time.map_or(u32::MAX, seconds),
        }
    }
}

impl Entry for CompactEntry {
    fn key(&self) -> Key<'_> {
        let kind = if self.order & 1 == 1 { Kind::Session } else { Kind::Token };
        Key::Bytes(kind, self.id)
    }

    fn sequence(&self) -> ChangeSequence {
        ChangeSequence((self.order >> 1).cast_signed())
    }

    fn expire_time(&self) -> Option<UnixTime> {
        (self.expire_time != u32::MAX).then(|| time(self.expire_time))
    }

    fn record(&self) -> RevocationRecord {
        let target = if self.order & 1 == 1 {
            RevocationTarget::Session(SessionId::from_bytes(&self.id))
        } else {
            RevocationTarget::Token(encode(self.id))
        };
        let revocation =
            Revocation { target, revoke_time: time(self.revoke_time), expire_time: self.expire_time() };
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

fn time(seconds: u32) -> UnixTime {
    UnixTime::from_seconds(i64::from(seconds))
}
